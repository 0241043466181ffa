"""openmined-psi 2.0.6 (ECDH over P-256). usage: openmined_psi.py LEFT.csv RIGHT.csv OUT.csv

A client and a server process, messages over a TCP connection. Counted: reading the CSV with the standard library,
request, response, intersection, writing the CSV. Not counted: imports and connecting. The raw data structure (no Bloom
filter, no false positives) is asked for. The output's keys are compared with the plain intersection.
"""

import csv
import socket
import sys
import time

import private_set_intersection.python as psi
from common import Clock, answer, require, run


def send(link, message) -> None:
    data = message.SerializeToString()
    link.sendall(len(data).to_bytes(8, "big") + data)


def receive(file, message):
    size = int.from_bytes(file.read(8), "big")
    message.ParseFromString(file.read(size))
    return message


def read(path: str) -> list[str]:
    with open(path, newline="") as file:
        rows = csv.reader(file)
        next(rows)
        return [row[0] for row in rows]


def party(rank, ports, payload, clock: Clock):
    """Rank 0 is the client, who learns the intersection."""
    files, out = payload
    if rank == 1:
        with socket.create_server(("127.0.0.1", ports[1])) as listener:
            link = listener.accept()[0]
        file = link.makefile("rb")
        with clock:
            items = read(files[1])
            server = psi.server.CreateWithNewKey(True)
            setup = server.CreateSetupMessage(1e-9, len(items), items, psi.DataStructure.RAW)
            request = receive(file, psi.Request())  # both sending at once would wait for each other's buffers
            send(link, setup)
            send(link, server.ProcessRequest(request))
        link.close()
        return None
    for _ in range(100):
        try:
            link = socket.create_connection(("127.0.0.1", ports[1]))
            break
        except OSError:
            time.sleep(0.1)
    file = link.makefile("rb")
    with clock:
        items = read(files[0])
        client = psi.client.CreateWithNewKey(True)
        send(link, client.CreateRequest(items))
        setup = receive(file, psi.ServerSetup())
        found = client.GetIntersection(setup, receive(file, psi.Response()))
        with open(out, "w", newline="") as output:
            writer = csv.writer(output)
            writer.writerow(["id"])
            writer.writerows([items[i]] for i in found)
    link.close()
    return len(found)


def main() -> None:
    left, right, out = sys.argv[1:4]
    _, cost = run(party, [([left, right], out)] * 2)
    require(set(read(out)) == set(read(left)) & set(read(right)), "intersection")
    answer(cost)


if __name__ == "__main__":
    main()
