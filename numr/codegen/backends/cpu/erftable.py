"""Coefficients of erf(x) / x on eight pieces of [0, 6), for vectorforms.py."""

from __future__ import annotations

# Piece i is [0.75 i, 0.75 (i + 1)); the polynomial is in the distance from its middle, interpolated at
# Chebyshev nodes, within 0.65 ulp.
PIECE = 0.75
# Eight numbers, one for each piece, for each power from 0 up.
_TEXT = """
    0x1.13e08c7a16a26p+0 0x1.9450bb1ec6057p-1 0x1.0ee12190b194ap-1 0x1.8603df090937fp-2
        0x1.2f6827c1b08c7p-2 0x1.f07c1eda95279p-3 0x1.a41a41a4107d2p-3 0x1.6c16c16c16c0bp-3
    -0x1.09ac3c1b2b12ep-2 -0x1.ad1533f367888p-2 -0x1.0e9e17d6132b9p-2 -0x1.284241dbd5d39p-3
        -0x1.6793ed0a040bcp-4 -0x1.e170940df1a6dp-5 -0x1.58b3150861808p-5 -0x1.02e85c089895cp-5
    -0x1.276ba5c062332p-2 0x1.bbf4930fce7bbp-5 0x1.b7e9ea2ad6ad4p-4 0x1.ba09e2a359a52p-5
        0x1.a9f5181df9bf4p-6 0x1.d2d9631bbaa00p-7 0x1.1ad4946c8e15fp-7 0x1.703966729a5c0p-8
    0x1.24d6bbb463b79p-3 0x1.8a284b28503dcp-4 -0x1.5d2c61901051ep-6 -0x1.3244824951e90p-6
        -0x1.f70a65d7c894cp-8 -0x1.c4afa67cbf3f4p-9 -0x1.d021c2acf2b71p-10 -0x1.05d92c67eb325p-10
    0x1.01ba55d8a00f8p-4 -0x1.f10767cbf8e98p-5 -0x1.6e17e72383236p-7 0x1.4b850d128555ap-8
        0x1.2496775d64be2p-9 0x1.b6d7faa5fa3d4p-11 0x1.7cd36372f08c1p-12 0x1.7468119da05b8p-13
    -0x1.7d1fdd6df7460p-5 -0x1.2f7c086cb7e5bp-11 0x1.8b92ad96b4603p-7 -0x1.4fd3da63a59edp-12
        -0x1.41544bb9ed8ecp-11 -0x1.a8ccafeafed9dp-13 -0x1.3878270b4c337p-14 -0x1.08d28970bc2f9p-15
    -0x1.390f0407abf33p-7 0x1.d567442647c4ep-7 -0x1.1675328b26d31p-8 -0x1.80ca49d1af5a3p-11
        0x1.21dc0102589aap-13 0x1.985b5fa536280p-15 0x1.005df6c338bcbp-16 0x1.78a2e23767068p-18
    0x1.65d150907b848p-7 -0x1.12da4dea1975bp-8 -0x1.7bfc01225f8dap-12 0x1.1a935fcddfb41p-11
        -0x1.6635217153a4fp-17 -0x1.7dfe7b5f74fd9p-17 -0x1.a486e5e3f1de8p-19 -0x1.0bd4762cbedf1p-20
    0x1.cc3bab223f96ap-11 -0x1.ac21b2fe5e66ap-10 0x1.f55399ef9836bp-11 -0x1.92e9d44ccdd76p-13
        -0x1.b726223c90e2cp-17 0x1.44f4bcaee743ep-19 0x1.584dd79efe087p-21 0x1.7ce91d9d3a589p-23
    -0x1.077741835e923p-9 0x1.28a164ad97e79p-10 -0x1.4c28e782d365ap-12 0x1.f9378290f77e8p-17
        0x1.55899f3795d8dp-17 -0x1.7fdd7f9b1f810p-22 -0x1.17d63dbbf30c8p-23 -0x1.0edb37dcb0c51p-25
    0x1.5bd7ed566a83ap-19 0x1.44013e49b4193p-16 -0x1.485a55470dab9p-15 0x1.7873fb2c97b7bp-16
        -0x1.25ee8ae94d35ep-18 -0x1.6c2b3f3c587e7p-25 0x1.baa05cdfee5d3p-26 0x1.811d44293c06dp-28
    0x1.3effdc1be3375p-12 -0x1.6dd848a41f521p-13 0x1.f8f9b45b8a02fp-15 -0x1.a2d2827fb3189p-17
        0x1.2848d15fae742p-20 0x1.2aa2f23207772p-24 -0x1.3e58157a48416p-28 -0x1.1181710c1c739p-30
    -0x1.3cb3f8200f48fp-16 0x1.e8b3fc5d910dfp-16 -0x1.ae9b0745f642cp-17 0x1.27c3e06e6407ap-19
        -0x1.7974772f7be45p-27 -0x1.46ff27d5114a7p-25 0x1.38de1d82f37e6p-31 0x1.82d6d18c4e856p-33
    -0x1.46fb1b65e8704p-15 0x1.2d85812b5f7f6p-16 -0x1.1cbaed5e38068p-18 0x1.900aafb6967c0p-21
        -0x1.1ec6987a6e429p-23 0x1.ec36efe883840p-27 0x1.5af2dd6a93ae6p-34 -0x1.0d4dca79cde9cp-35
    0x1.0e9e287321ad2p-18 -0x1.910d9b040486dp-18 0x1.56624e2aecb57p-19 -0x1.1a16cb6bef8d9p-21
        0x1.0d789e8f6587ep-24 -0x1.e83f399fa0c50p-29 -0x1.f37baf131ff5cp-34 0x1.628d3fa691d36p-38
    0x1.136ff14647adfp-18 -0x1.30b3d9a8764eap-20 -0x1.1a738ba5ccff0p-23 0x1.82b99783edcf8p-24
        -0x1.94bcc35aa7120p-27 0x1.46f41f84c8834p-32 0x1.eaae1d700d109p-35 -0x1.6c0b7362b5971p-41
"""
_NUMBERS = tuple(map(float.fromhex, _TEXT.split()))
COEFFICIENTS = tuple(_NUMBERS[k : k + 8] for k in range(0, len(_NUMBERS), 8))
