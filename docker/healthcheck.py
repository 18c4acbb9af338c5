"""The images' health check: exit code 0 when the service in this container is ready for requests, else 1 and why not.

Runs on Python alone, every few seconds, so it imports nothing else. What it prints shows in `docker inspect`.
"""

import http.client
import json
import os
import sys

TIMEOUT_S = 4  # less than the images give it


def main() -> int:
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["NAGAYOMI_PORT"]), timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        health = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"/readyz cannot be asked: {error}")
        return 1
    print(f"{health['status']}: {health['reason'] or ', '.join(health['models'])}")
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
