"""The corpus of hostile JSON: texts by what is wrong with them. Each stands in for one value; most are to be refused wherever JSON is read."""
import base64
import zlib

DEEP = 100_000
_SURROGATE = b'"\\ud800"'

VALUES: dict[str, bytes] = {
    "nested arrays beyond the depth": b"[" * 70 + b"]" * 70,
    "nested objects beyond the depth": b'{"a":' * 70 + b"1" + b"}" * 70,
    "a bomb of arrays": b"[" * DEEP + b"]" * DEEP,
    "a bomb of arrays that never close": b"[" * DEEP,
    "a bomb of objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a bomb of objects that never close": b'{"a":' * DEEP,
    "a key given twice": b'{"a":1,"a":2}',
    "a key given twice, once escaped": b'{"a":1,"\\u0061":2}',
    "a key given twice, deep inside": b'{"b":[{"c":{"a":1,"a":1}}]}',
    "a key of a prototype given twice": b'{"__proto__":1,"__proto__":2}',
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "a number beyond all doubles": b"1e400",
    "a number beyond all doubles, negative": b"-1e400",
    "a number with a huge exponent": b"1e999999999999999999",
    "a number of too many digits": b"1" * 41,
    "a fraction of too many digits": b"0." + b"1" * 60,
    "a number of a million digits": b"9" * 1_000_000,
    "a number that begins with zero": b"01",
    "a number that begins with plus": b"+1",
    "a number that ends with a point": b"1.",
    "a number in hexadecimal": b"0x1F",
    "a lone surrogate, the first of two": _SURROGATE,
    "a lone surrogate, the second of two": b'"\\udc00"',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "a lone surrogate in a key": b"{" + _SURROGATE + b":1}",
    "U+0000, escaped": b'"a\\u0000b"',
    "U+0000 in a key": b'{"a\\u0000":1}',
    "U+0000, as it is": b'"a\x00b"',
    "a control character, as it is": b'"a\x07b"',
    "a line break in a string": b'"a\nb"',
    "an escape that there is not": b'"\\x41"',
    "a string without an end": b'"abc',
    "UTF-8 cut off": b'"\xe2\x82"',
    "UTF-8 longer than needed": b'"\xc0\xaf"',
    "UTF-8 of a surrogate": b'"\xed\xa0\x80"',
    "a byte of no UTF-8": b'"\xff"',
    "UTF-16": '"a"'.encode("utf-16"),
    "a byte order mark inside": b'\xef\xbb\xbf"a"',
    "single quotes": b"'a'",
    "a comment": b"/* a */1",
    "a comma at the end of an array": b"[1,]",
    "a comma at the end of an object": b'{"a":1,}',
    "no value at all": b"",
    "two values": b"1 2",
    "a word": b"undefined",
    "True as Python writes it": b"True",
}
"""Texts in the place of one JSON value."""

HUGE: dict[str, bytes] = {
    "an enormous key": b'{"' + b"k" * 300_000 + b'":1}',
    "an enormous string": b'"' + b"s" * 300_000 + b'"',
    "more values than we take": b"[" + b"0," * 30_000 + b"0]",
    "more members than we take": b"{" + b",".join(b'"%d":0' % number for number in range(30_000)) + b"}",
}
"""Texts that are JSON, and more than a statement may hold."""


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(body) + packer.flush()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" \r\n\t ",
    "null": b"null",
    "a string": b'"statement"',
    "a number": b"1",
    "an array of arrays": b"[[]]",
    "an array of numbers": b"[1,2,3]",
    "an array without an end": b"[{}",
    "an object and more": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-32": "{}".encode("utf-32-be"),
    "zeros": bytes(4096),
    "every byte": bytes(range(256)),
    "a million commas": b"[" + b"," * 1_000_000 + b"]",
    "a million quotes": b'"' * 1_000_000,
    "a million backslashes": b'{"a":"' + b"\\" * 1_000_000 + b'"}',
    "a bomb, compressed": _gzip(b"[" * 1_000_000),
    "base64": base64.b64encode(b"{}"),
    "a form": b"a=1&b=2",
    "markup": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
}
"""Whole bodies that are no statement, no document of JSON objects, and nothing that /v1 takes."""
