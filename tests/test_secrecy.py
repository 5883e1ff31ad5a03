"""The last test of a run: nothing that any test printed holds a key, a secret, a signature or a password."""

import pytest

from tests.support import secrecy


def test_nothing_that_was_printed_holds_a_secret(request: pytest.FixtureRequest) -> None:
    if len(request.session.items) == 1:
        pytest.skip("no other test ran that could have printed anything")

    assert secrecy.known()
    assert secrecy.printed_characters()
    assert list(secrecy.leaks()) == []
