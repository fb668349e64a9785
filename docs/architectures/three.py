"""Three clients, one after the other; each waits a second for the greeting and stays."""

import socket
import sys

clients = []
for number in 1, 2, 3:
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=1)
    clients.append(client)
    try:
        print(number, client.recv(100))
    except TimeoutError:
        print(number, "hears nothing")
