"""The client of the exchange: signing, one multiplexed socket per market, clock and weight."""
