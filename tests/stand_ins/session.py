"""Hold one session of an engine open: answer each line of standard input, a GraphQL query, with a line of JSON.

Run by `daggerw run`, which gives the session's port and token.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request


def main() -> None:
    """Answer until standard input ends."""
    address = f"http://127.0.0.1:{os.environ['DAGGER_SESSION_PORT']}/query"
    token = base64.b64encode(f"{os.environ['DAGGER_SESSION_TOKEN']}:".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
    for query in sys.stdin:
        body = json.dumps({"query": query}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            answer = {"errors": [{"message": error.read().decode()}]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
