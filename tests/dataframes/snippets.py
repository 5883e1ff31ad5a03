"""Runs the Python snippets of a document, one after the other, and prints what each printed as a list in JSON.

Not part of the tests' own environment: it is run by the one that has the packages the document is about.
"""

import contextlib
import io
import json
import sys
import warnings


def main() -> None:
    warnings.simplefilter("error")
    shared: dict[str, object] = {}
    printed = []
    for snippet in json.load(sys.stdin):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(snippet, shared)  # noqa: S102 - the document's own code
        printed.append(said.getvalue())
    json.dump(printed, sys.stdout)


if __name__ == "__main__":
    main()
