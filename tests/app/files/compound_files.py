"""Makes compound files ([MS-CFB], version 3) for tests: streams in storages, the small ones in the mini stream."""

import struct

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_FREE, _END, _TABLE, _LIST = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
_STORAGE, _STREAM, _ROOT = 1, 2, 5


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file with these streams, by paths such as `__recip_version1.0_#00000000/__properties_version1.0`."""
    entries = _entries(streams)
    sectors: list[bytes] = []  # of streams, and of the tables of them
    chains: list[int] = []  # next sector of each
    mini = b""
    mini_chains: list[int] = []

    def add(data: bytes) -> int:
        first = len(sectors)
        parts = [data[at : at + _SECTOR].ljust(_SECTOR, b"\0") for at in range(0, len(data), _SECTOR)]
        sectors.extend(parts)
        chains.extend([*range(first + 1, first + len(parts)), _END][: len(parts)])
        return first if parts else _END

    starts: dict[str, int] = {}
    for path, data in streams.items():
        if len(data) >= _CUTOFF:
            starts[path] = add(data)
            continue
        starts[path] = len(mini_chains) if data else _END
        count = -(-len(data) // _MINI)
        mini_chains += [*range(len(mini_chains) + 1, len(mini_chains) + count), _END][:count]
        mini += data.ljust(count * _MINI, b"\0")
    mini_start = add(mini)
    mini_table = struct.pack(f"<{len(mini_chains)}I", *mini_chains)
    mini_table = mini_table.ljust(-(-len(mini_table) // _SECTOR) * _SECTOR, b"\xff")
    mini_table_start = add(mini_table)
    directory = b""
    for path, (name, kind, left, right, child) in entries.items():
        start, size = (mini_start, len(mini)) if kind == _ROOT else (0, 0)
        if kind == _STREAM:
            start, size = starts[path], len(streams[path])
        units = name.encode("utf-16-le")
        directory += struct.pack(
            "<64sHBBIII16sIQQIII", units, len(units) + 2, kind, 1, left, right, child, b"", 0, 0, 0, start, size, 0
        )
    empty = struct.pack("<64sHBBIII", b"", 0, 0, 0, _FREE, _FREE, _FREE).ljust(128, b"\0")
    directory += empty * (-len(entries) % 4)
    directory_start = add(directory)
    tables, lists = 1, 0  # sectors of the table, and of the list of those that the header has no room for
    while tables * 128 < len(sectors) + tables + lists:
        tables += 1
        lists = -(-max(tables - 109, 0) // 127)
    table_start = len(sectors)
    chains += [_TABLE] * tables + [_LIST] * lists
    table = struct.pack(f"<{len(chains)}I", *chains).ljust(tables * _SECTOR, b"\xff")
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, 0, tables,
        directory_start, 0, _CUTOFF, mini_table_start, len(mini_table) // _SECTOR,
        table_start + tables if lists else _END, lists
    )  # fmt: skip
    numbers = range(table_start, table_start + tables)
    header += struct.pack(f"<{len(numbers[:109])}I", *numbers[:109])
    listed = b""
    for place in range(lists):
        some = numbers[109 + 127 * place : 236 + 127 * place]
        following = table_start + tables + place + 1 if place < lists - 1 else _END
        listed += struct.pack(f"<{len(some)}I", *some).ljust(_SECTOR - 4, b"\xff") + struct.pack("<I", following)
    return header.ljust(_SECTOR, b"\xff") + b"".join(sectors) + table + listed


def _entries(streams: dict[str, bytes]) -> dict[str, tuple[str, int, int, int, int]]:
    """Path -> name, kind, left, right and child of each entry, in the order of the directory, the root first."""
    paths = [""]
    for path in streams:
        parts = path.split("/")
        paths += ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
    paths = list(dict.fromkeys(paths))
    numbers = {path: number for number, path in enumerate(paths)}
    left_and_right: dict[str, tuple[int, int]] = {}

    def tree(inside: list[str]) -> int:
        """The root of the balanced tree of some entries."""
        if not inside:
            return _FREE
        middle = len(inside) // 2
        left_and_right[inside[middle]] = tree(inside[:middle]), tree(inside[middle + 1 :])
        return numbers[inside[middle]]

    def children(parent: str) -> list[str]:
        inside = [path for path in paths if path and path.rpartition("/")[0] == parent]
        return sorted(inside, key=lambda path: (len(path), path.upper()))

    child = {path: tree(children(path)) for path in paths}
    return {
        path: (
            path.rpartition("/")[2] or "Root Entry",
            _STREAM if path in streams else _STORAGE if path else _ROOT,
            *left_and_right.get(path, (_FREE, _FREE)),
            child[path],
        )
        for path in paths
    }
