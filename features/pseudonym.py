"""What an account is called where it must not be named: among the past cases of a bundle."""

import hashlib


def pseudonym(account: str) -> str:
    """64 bits of the sha256 of an account's id, in hexadecimal.

    Only who holds the ids can say whose it is.

    >>> pseudonym("acc_1")
    'd20de1051f11687f'
    """
    return hashlib.sha256(account.encode("utf-8", "surrogatepass")).hexdigest()[:16]
