"""The Merkle tree against the vectors of certificate-transparency's own tests, and its algebra.

Vectors: google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc (also used by
transparency-dev/merkle and C2SP implementations): eight inputs, the root after each, and the
precomputed inclusion and consistency proofs.
"""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.log import merkle
from accounting.log.merkle import EMPTY_ROOT, Frontier, ProofError, leaf_hash, node_hash

INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {  # (leaf counted from 1, size)
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (3, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (2, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): PATHS[1, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def provider(leaves):
    """Subtree roots as a ledger stores them: those that end at each leaf."""
    tree, stored = Frontier(), []
    for leaf in leaves:
        stored.append(tree.append(leaf))
    return lambda level, index: stored[((index + 1) << level) - 1][level]


def recursive_root(leaves):
    """MTH of RFC 6962 section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(recursive_root(leaves[:k]), recursive_root(leaves[k:]))


LEAVES = [leaf_hash(data) for data in INPUTS]
many = [leaf_hash(bytes([n])) for n in range(70)]
sizes = st.integers(1, len(many))


def test_an_empty_tree_is_the_hash_of_nothing():
    assert hashlib.sha256().digest() == EMPTY_ROOT == merkle.root([])
    assert merkle.root_of(0, provider([])) == EMPTY_ROOT


@pytest.mark.parametrize("size", range(1, 9))
def test_the_roots_of_the_known_answers(size):
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size - 1]
    assert merkle.root_of(size, provider(LEAVES)).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("place", "path"), PATHS.items())
def test_the_inclusion_proofs_of_the_known_answers(place, path):
    leaf, size = place
    found = merkle.inclusion_proof(leaf - 1, size, provider(LEAVES))
    assert [step.hex() for step in found] == path
    root = bytes.fromhex(ROOTS[size - 1])
    merkle.verify_inclusion(LEAVES[leaf - 1], leaf - 1, size, found, root)


@pytest.mark.parametrize(("place", "path"), CONSISTENCY.items())
def test_the_consistency_proofs_of_the_known_answers(place, path):
    old, new = place
    found = merkle.consistency_proof(old, new, provider(LEAVES))
    assert [step.hex() for step in found] == path
    roots = [bytes.fromhex(ROOTS[size - 1]) for size in place]
    merkle.verify_consistency(old, roots[0], new, roots[1], found)


@given(sizes)
def test_a_tree_that_grew_is_the_tree_of_the_definition(size):
    expected = recursive_root(many[:size])
    assert merkle.root(many[:size]) == merkle.root_of(size, provider(many)) == expected


@settings(deadline=None)
@given(sizes, st.data())
def test_every_leaf_has_a_proof_that_proves_nothing_else(size, data):
    index = data.draw(st.integers(0, size - 1))
    root = merkle.root(many[:size])
    proof = merkle.inclusion_proof(index, size, provider(many))
    merkle.verify_inclusion(many[index], index, size, proof, root)
    assert len(proof) <= size.bit_length()
    elsewhere = data.draw(st.integers(-1, size).filter(lambda n: n != index))
    for wrong in (
        (leaf_hash(b"another"), index, size, proof, root),
        (many[index], elsewhere, size, proof, root),
        (many[index], index, size, [*proof, root], root),
        (many[index], index, size, proof, EMPTY_ROOT),
    ):
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*wrong)


@settings(deadline=None)
@given(sizes, sizes)
def test_a_log_that_grew_proves_it(one, other):
    old, new = sorted((one, other))
    roots = [merkle.root(many[:size]) for size in (old, new)]
    proof = merkle.consistency_proof(old, new, provider(many))
    merkle.verify_consistency(old, roots[0], new, roots[1], proof)
    if old < new:
        with pytest.raises(ProofError, match="shrank"):
            merkle.verify_consistency(new, roots[1], old, roots[0], proof)
        with pytest.raises(ProofError):
            merkle.verify_consistency(old, roots[0], new, roots[1], proof[:-1])
        with pytest.raises(ProofError):
            merkle.verify_consistency(old, roots[0], new, roots[1], [*proof, roots[0]])


@settings(deadline=None)
@given(st.integers(2, len(many)), st.data())
def test_a_log_that_was_rewritten_cannot_prove_it(new, data):
    """Whatever proof the forger's own tree gives, and however a true proof is bent."""
    old = data.draw(st.integers(1, new - 1))
    changed = data.draw(st.integers(0, old - 1))
    forged = [*many[:changed], leaf_hash(b"forged"), *many[changed + 1 :]]
    seen, root = merkle.root(many[:old]), merkle.root(forged[:new])
    for tree in (many, forged):
        proof = merkle.consistency_proof(old, new, provider(tree))
        with pytest.raises(ProofError):
            merkle.verify_consistency(old, seen, new, root, proof)
    true = merkle.consistency_proof(old, new, provider(many))
    place, bit = data.draw(st.integers(0, len(true) - 1)), data.draw(st.integers(0, 255))
    bent = bytearray(true[place])
    bent[bit // 8] ^= 1 << bit % 8
    true[place] = bytes(bent)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, seen, new, merkle.root(many[:new]), true)


def test_one_size_has_one_root():
    merkle.verify_consistency(2, many[0], 2, many[0], [])
    with pytest.raises(ProofError, match="forked"):
        merkle.verify_consistency(2, many[0], 2, many[1], [])
    with pytest.raises(ProofError, match="one was given"):
        merkle.verify_consistency(2, many[0], 2, many[0], [many[0]])
    merkle.verify_consistency(0, EMPTY_ROOT, 2, many[0], [])
    with pytest.raises(ProofError, match="forked"):
        merkle.verify_consistency(0, many[0], 2, many[0], [])
    with pytest.raises(ProofError, match="empty log"):
        merkle.verify_consistency(0, EMPTY_ROOT, 0, many[0], [])


def test_a_step_that_is_no_hash_is_no_proof():
    with pytest.raises(ProofError, match="31 bytes"):
        merkle.verify_inclusion(many[0], 0, 2, [many[1][:31]], merkle.root(many[:2]))
    with pytest.raises(ProofError, match="empty"):
        merkle.verify_consistency(3, many[0], 4, many[1], [])


def test_what_is_not_there_cannot_be_proved():
    with pytest.raises(ValueError, match="no leaf 3"):
        merkle.inclusion_proof(3, 3, provider(many))
    with pytest.raises(ValueError, match="only grows"):
        merkle.consistency_proof(3, 2, provider(many))
    with pytest.raises(ValueError, match="frontier is damaged"):
        Frontier(3, [many[0]])


def test_a_long_log_is_proved_from_few_hashes():
    asked = []

    def counting(level, index):
        asked.append((level, index))
        return many[0]

    merkle.inclusion_proof(12_345, 100_000, counting)
    merkle.consistency_proof(54_321, 100_000, counting)
    assert len(asked) < 60
