"""Break the shop, or mend it: tell each process behind a name what share of a variant's checkouts shall fail.

`python -m examples.shop.fault treatment 0.3` (0: mend it). Knows DNS and the shop's address: a headless Service's name gives all its pods.
"""

import argparse
import socket
import sys
from http.client import HTTPConnection
from urllib.parse import urlencode

TIMEOUT = 5.0


def main() -> None:
    """Tell every process, and say how many there were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", help="whose checkouts fail: control or treatment")
    parser.add_argument("rate", type=float, help="which share of them, from 0 to 1")
    parser.add_argument("--shop", default="shop-pods", metavar="NAME", help="a name of all processes (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(options.shop, options.port, type=socket.SOCK_STREAM)})
    for address in addresses:
        connection = HTTPConnection(address, options.port, timeout=TIMEOUT)
        connection.request("POST", "/fault?" + urlencode({"variant": options.variant, "rate": options.rate}))
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"{address} answered {answer.status}: {answer.read().decode()}")
    print(f"{options.rate:.0%} of {options.variant}'s checkouts fail at {len(addresses)} processes")


if __name__ == "__main__":
    main()
