"""Paillier by phe + gmpy2, or HEU. usage: paillier.py phe|ZPaillier|OU BITS COUNT

One process, one core. Counted apart: encryption of COUNT values of 62 bits, their decryption, the dot product of the
ciphertexts with plain weights of 62 bits; the cheapest of three. Not counted: imports, key generation, HEU's encoding.
Neither packs several values into one ciphertext.
The last line has a CPU second per operation under `costs`; the opened results are compared with integers in the clear.
"""

import json
import random
import sys

from common import Clock, require


def timed(work):
    clock = Clock()
    for _ in range(3):
        with clock:
            value = work()
    return value, min(lap["cpu_s"] for lap in clock.laps)


def with_phe(bits: int, values: list[int], weights: list[int]) -> dict[str, float]:
    from phe import paillier

    public, private = paillier.generate_paillier_keypair(n_length=bits)
    numbers, encrypt = timed(lambda: [public.encrypt(v) for v in values])
    opened, decrypt = timed(lambda: [private.decrypt(c) for c in numbers])
    require(opened == values, "decryption")

    def dot():
        total = numbers[0] * weights[0]
        for number, weight in zip(numbers[1:], weights[1:], strict=True):
            total = total + number * weight
        return total

    total, product = timed(dot)
    require(private.decrypt(total) == sum(v * w for v, w in zip(values, weights, strict=True)), "dot product")
    return {"encrypt": encrypt, "decrypt": decrypt, "dot": product}


def with_heu(scheme: str, bits: int, values: list[int], weights: list[int]) -> dict[str, float]:
    import numpy
    from heu import numpy as hnp
    from heu import phe

    kit = hnp.setup(getattr(phe.SchemaType, scheme), bits)
    encoder = phe.IntegerEncoderParams(scale=1)
    plain = kit.array(numpy.array(values, dtype=numpy.int64), encoder)
    factors = kit.array(numpy.array(weights, dtype=numpy.int64), encoder)
    encryptor, decryptor, evaluator = kit.encryptor(), kit.decryptor(), kit.evaluator()
    encrypted, encrypt = timed(lambda: encryptor.encrypt(plain))
    opened, decrypt = timed(lambda: decryptor.decrypt(encrypted))
    require(opened.to_numpy(kit.integer_encoder(scale=1)).tolist() == values, "decryption")
    total, product = timed(lambda: evaluator.matmul(encrypted, factors))
    found = decryptor.decrypt(total)
    require(
        int(str(found).strip("[]")) == sum(v * w for v, w in zip(values, weights, strict=True)), "dot product"
    )
    return {"encrypt": encrypt, "decrypt": decrypt, "dot": product}


def main() -> None:
    scheme, bits, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    coins = random.Random(7)
    values = [coins.randrange(-(2**62), 2**62) for _ in range(count)]
    weights = [coins.randrange(-(2**62), 2**62) for _ in range(count)]
    run = with_phe if scheme == "phe" else lambda *given: with_heu(scheme, *given)
    costs = run(bits, values, weights)
    print(json.dumps({"cpu_s": sum(costs.values()), "costs": {k: v / count for k, v in costs.items()}}))


if __name__ == "__main__":
    main()
