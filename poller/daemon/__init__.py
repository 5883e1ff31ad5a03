"""The composition root: builds the parts from the settings, runs them together and ends them in order."""
