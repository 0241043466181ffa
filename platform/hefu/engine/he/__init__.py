"""Homomorphic encryption: Paillier, Okamoto-Uchiyama, BFV and CKKS behind one vector interface (see `vectors`)."""

from hefu.engine.he.errors import (
    CiphertextInvalid,
    HeadroomExceeded,
    HeError,
    KeyInvalid,
    NotSupported,
    PlaintextOverflow,
)
from hefu.engine.he.lattice import (
    LatticePrivateKey,
    LatticePublicKey,
    LatticeVector,
    ckks_error_bound,
    generate_lattice_keypair,
)
from hefu.engine.he.okamoto_uchiyama import (
    OkamotoPrivateKey,
    OkamotoPublicKey,
    OkamotoVector,
    generate_okamoto_keypair,
)
from hefu.engine.he.packing import PackedVector, decrypt_packed, encrypt_packed, slots_per_ciphertext
from hefu.engine.he.paillier import PaillierVector, decrypt_vector, encrypt_vector
from hefu.engine.he.paillier_keys import (
    EncryptedNumber,
    PaillierPrivateKey,
    PaillierPublicKey,
    generate_paillier_keypair,
)
from hefu.engine.he.vectors import Decryptor, Encryptor, Vector
from hefu.engine.he.workers import Workers

__all__ = [
    "CiphertextInvalid",
    "Decryptor",
    "EncryptedNumber",
    "Encryptor",
    "HeError",
    "HeadroomExceeded",
    "KeyInvalid",
    "LatticePrivateKey",
    "LatticePublicKey",
    "LatticeVector",
    "NotSupported",
    "OkamotoPrivateKey",
    "OkamotoPublicKey",
    "OkamotoVector",
    "PackedVector",
    "PaillierPrivateKey",
    "PaillierPublicKey",
    "PaillierVector",
    "PlaintextOverflow",
    "Vector",
    "Workers",
    "ckks_error_bound",
    "decrypt_packed",
    "decrypt_vector",
    "encrypt_packed",
    "encrypt_vector",
    "generate_lattice_keypair",
    "generate_okamoto_keypair",
    "generate_paillier_keypair",
    "slots_per_ciphertext",
]
