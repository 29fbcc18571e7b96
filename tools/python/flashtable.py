# SPDX-License-Identifier: MIT
# Copyright (c) 2026 the flashtable maintainers
"""
Reads tables of flashtable into numpy arrays: one file, numpy alone, no writing.

    import flashtable
    with flashtable.open('fingerprints') as table:
        table.get_all(0x1234)                  # structured array, in insertion order
        for part in table.scan(gte=1 << 60):   # structured arrays, by key, then in insertion order
            part['key'], part['time']

The bytes are those of docs/file-format.md of flashtable; words such as *lane*, *fence* and *delete where* are explained
there. Pages are decoded many at a time: all pages of a batch whose rows have the same widths are one 2-D array.

Inside, a key is one element of a 1-D array that sorts as keys do: a `<u8` of up to 2 lanes, else a byte string
(`S`, the lanes big-endian).
"""
import json
import os
import re
import struct
import zlib

import numpy as np

__all__ = ['open', 'Table', 'Error', 'Corruption', 'UnsupportedFormat']

MANIFEST_VERSION = 2
BUCKET_VERSION = 2
MANIFEST_BYTES_MAX = 16 * 1024 * 1024
PUT, DELETE_KEY, DELETE_RECORD = 0, 1, 2
DATA_PAGE, DELETE_WHERE_PAGE, FENCE_PAGE, FOOTER_PAGE = 1, 3, 4, 5
U48_MAX = 2**48 - 1
SAFE_MAX = 2**53 - 1

# A scan decodes about this much at once, whatever is less: few enough for memory, enough for numpy's loops to be long.
BATCH_BYTES = 2 * 1024 * 1024
BATCH_ROWS = 256 * 1024
# Beside a writer an open may have to begin again: no more often than this.
ATTEMPTS_MAX = 50


class Error(Exception):
    """What goes wrong with a table."""


class Corruption(Error):
    """A file is not what was written: damaged, cut off, exchanged or missing. `path`, `offset` in bytes."""

    def __init__(self, path, offset, problem):
        super().__init__(f'{path} is damaged at offset {offset}: {problem}')
        self.path, self.offset, self.problem = path, offset, problem


class UnsupportedFormat(Error):
    """The table was written in a version of the format that this file does not know."""


class _Missing(Corruption):
    """A frame of the log is missing that a later one calls synced. `expected`: its first sequence number."""

    def __init__(self, path, offset, expected):
        super().__init__(path, offset, f'sequence number {expected}, which was synced, is missing')
        self.expected = expected


def open(path):
    """
    Opens the table in the directory `path` for reading, as it is now; beside a writer too. See `Table`.

    Raises FileNotFoundError where there is no table, `UnsupportedFormat`, `Corruption`, or OSError of the disk.
    """
    return Table(path)


# ---- the table ----


class Table:
    """
    A table as it was at its open, or at its last `refresh`. A context manager. Not for two threads at once.

    `dtype`: of a record, packed: `key`, then the fields of the value (`value` where it is no struct; nothing in a set).
    Integers and floats are of their own type, little-endian; byte strings, and what `fixed` encodes, are `V` of n
    bytes.
    `schema`, `duplicates`, `meta`: as in the manifest.

    Reads raise `Corruption` where a file is damaged, OSError where it cannot be read, ValueError once it is closed.
    Memory: what is in the log, some bytes for each page of the bucket files, and what a scan decodes at once; but all
    records of one key are in memory at once.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self._view = _open_view(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f'<flashtable.Table {self.path!r}{"" if self._view else ", closed"}>'

    def close(self):
        """Closes all files; does nothing a second time. Scans that go on raise ValueError."""
        if self._view is not None:
            for file in self._view.files:
                file.close()
        self._view = None

    def refresh(self):
        """Sees what a writer has done since the open. Scans that were begun go on as they were. Raises as `open`."""
        self._opened()
        self._view = _open_view(self.path)

    def _opened(self):
        if self._view is None:
            raise ValueError(f'the table {self.path} is closed')
        return self._view

    @property
    def schema(self):
        return self._opened().manifest['schema']

    @property
    def dtype(self):
        return self._opened().schema.dtype

    @property
    def duplicates(self):
        """'keep' or 'replace'; of a table that combines, an operator for each field."""
        return self._opened().manifest['duplicates']

    @property
    def meta(self):
        return self._opened().manifest['meta']

    def get(self, key):
        """The newest record of the key, as a scalar of `dtype`; None where there is none."""
        records = self.get_all(key)
        return records[-1] if len(records) else None

    def get_all(self, key):
        """All records of the key, in insertion order: an array of `dtype`."""
        return self.lookup([key])[1]

    def lookup(self, keys):
        """
        The records of many keys: `(query, records)`, both of one length.

        `keys`: a sequence of keys or an array of them (integers; byte strings as `V`, `S` or n columns of `u1`), in any
        order. `records[i]` is of `keys[query[i]]`; `query` ascends, the records of a key are in insertion order. Raises
        TypeError or ValueError for what cannot be a key.
        """
        view = self._opened()
        unique, asked = np.unique(view.schema.keys_of(keys), return_inverse=True)
        parts = [view.lookup(part) for part in view.split(unique)]
        found = np.concatenate([keys for keys, _ in parts] or [unique[:0]])
        records = np.concatenate([records for _, records in parts] or [np.empty(0, view.schema.dtype)])
        first = np.searchsorted(found, unique, 'left')[asked]
        counts = np.searchsorted(found, unique, 'right')[asked] - first
        return np.repeat(np.arange(len(asked)), counts), records[_ranges(first, counts)]

    def scan(self, *, gte=None, gt=None, lt=None, lte=None):
        """
        The records with keys in the range, by key, those of a key in insertion order: an iterator of arrays of `dtype`,
        each of some ten to some hundred thousand records. Raises TypeError or ValueError for bounds that are no keys.
        """
        view = self._opened()
        low, high = view.schema.bound('gte', gte, 'gt', gt), view.schema.bound('lte', lte, 'lt', lt)
        return (records for records in view.scan(low, high) if len(records))

    def count(self, **bounds):
        """The number of records in a range, as `scan` takes it; of all, without one. Cost: as a scan."""
        return sum(len(records) for records in self.scan(**bounds))

    def to_numpy(self, **bounds):
        """The records of a range, as `scan` takes it, or all: one array of `dtype`. Needs memory for it twice."""
        return np.concatenate([np.empty(0, self.dtype), *self.scan(**bounds)])


class _View:
    """What the manifest named when it was read: bucket files, oldest first, and the log."""

    def __init__(self, manifest, schema, files, log):
        self.manifest, self.schema, self.files, self.log = manifest, schema, files, log
        duplicates = manifest['duplicates']
        self.replace = duplicates == 'replace'
        self.combine = duplicates if isinstance(duplicates, dict) else None
        entries = [entry for file in files for entry in file.deletes] + log.deletes
        self.deletes = _Deletes(schema, entries) if entries else None
        pages = sum(file.data_pages for file in files)
        rows = sum(file.rows for file in files)
        # Pages that are decoded together.
        self.step = max(1, min(BATCH_BYTES // manifest['pageBytes'], BATCH_ROWS * max(1, pages) // max(1, rows)))

    def scan(self, low, high):
        """Arrays of records. `low`, `high`: None, or a key and the side on which the range begins or ends."""
        fences = [file.fences for file in self.files] + [self.log.rows.keys[::256]]
        cuts = np.unique(np.sort(np.concatenate(fences))[self.step :: self.step])
        begin = 0 if low is None else np.searchsorted(cuts, low[0], 'right')
        end = len(cuts) if high is None else np.searchsorted(cuts, high[0], 'left')
        inner = [(cut, 'left') for cut in cuts[begin:end]]
        for a, b in zip([low, *inner], [*inner, high]):
            yield from self._between(a, b)

    def _between(self, low, high):
        """The records of a range, in one array; in more where pages have very many rows."""
        numbers = [file.pages_between(low, high) for file in self.files]
        pages = self._load(numbers)
        if (pages.view('<u4')[:, 1] >> 16).sum() > 4 * BATCH_ROWS:
            fences = np.unique(np.concatenate([file.fences[part] for file, part in zip(self.files, numbers)]))
            first = 0 if low is None else np.searchsorted(fences, low[0], 'right')
            fences = fences[first : None if high is None else np.searchsorted(fences, high[0], 'left')]
            if len(fences) > 1:
                middle = fences[len(fences) // 2], 'left'
                yield from self._between(low, middle)
                yield from self._between(middle, high)
                return
        yield self.records([self._rows(numbers, pages), self.log.rows.between(low, high)], low, high)[1]

    def split(self, keys):
        """Parts of the ascending keys, each in so few pages that they are decoded together."""
        pages = np.ones(len(keys), np.int64)
        for file in self.files:
            first, last = file.pages_of(keys)
            before = np.concatenate([[0], last[:-1]])
            pages += np.maximum(0, last - np.maximum(first, before))
        part = np.cumsum(pages) // (4 * self.step)
        return np.split(keys, np.flatnonzero(np.diff(part)) + 1) if len(keys) else []

    def lookup(self, keys):
        """The records of these keys, which ascend: as `records`."""
        ranges = [file.pages_of(keys) for file in self.files]
        numbers = [np.unique(_ranges(first, last - first)) for first, last in ranges]
        rows = self._rows(numbers, self._load(numbers))
        place = np.minimum(np.searchsorted(keys, rows.keys), len(keys) - 1)
        first = np.searchsorted(self.log.rows.keys, keys, 'left')
        counts = np.searchsorted(self.log.rows.keys, keys, 'right') - first
        found = np.flatnonzero(keys[place] == rows.keys)
        return self.records([rows.take(found), self.log.rows.take(_ranges(first, counts))])

    def _load(self, numbers):
        """Data pages, of each file those with the ascending `numbers`: u8, pages x page bytes. Their checksums fit."""
        parts = [file.load(part) for file, part in zip(self.files, numbers) if len(part)]
        empty = np.empty((0, self.manifest['pageBytes']), np.uint8)
        return parts[0] if len(parts) == 1 else np.concatenate([empty, *parts])

    def _rows(self, numbers, pages):
        """The rows of pages that were loaded, as `_Rows`: file after file, in each by key, those of a key by age."""

        def fail(page, problem):
            for file, part in zip(self.files, numbers):
                if page < len(part):
                    raise Corruption(file.path, int(part[page]) * file.page_bytes, problem)
                page -= len(part)

        if not len(pages):
            return self.log.rows.take(np.arange(0))
        counts, keys, lanes, kinds = _decode_pages(self.schema, pages, fail)
        starts = np.cumsum(counts) - counts
        files = np.repeat(np.arange(len(numbers)), [len(part) for part in numbers])
        sequences = np.array([file.end_sequence - 1 for file in self.files], np.int64)
        rows = _Rows(keys, lanes, kinds, np.repeat(sequences[files], counts))
        begins = np.concatenate([[True], files[1:] != files[:-1]])
        descends = np.setdiff1d(np.flatnonzero(keys[1:] < keys[:-1]) + 1, starts[begins])
        if len(descends):
            fail(int(np.searchsorted(starts, descends[0], 'right')) - 1, 'keys that do not ascend')
        fences = np.concatenate([file.fences[part] for file, part in zip(self.files, numbers)])
        if (keys[starts] != fences).any():
            fail(int((keys[starts] != fences).argmax()), 'another first key than its fence says')
        wrong = self.schema.misfit(rows)
        if wrong is not None:
            fail(int(np.searchsorted(starts, wrong, 'right')) - 1, 'a number that its type does not have')
        return rows

    def records(self, parts, low=None, high=None):
        """
        The records that are left of rows, `(keys, records)`: by key, those of a key in insertion order.

        `parts`: `_Rows`, from old to new, with all the rows of the keys in the range.
        """
        parts = [part for part in parts if len(part.keys)]
        if not parts:
            return np.empty(0, self.schema.key_dtype), np.empty(0, self.schema.dtype)
        keys = np.concatenate([part.keys for part in parts])
        order = None
        if (keys[1:] < keys[:-1]).any():
            # Stable, so rows of a key stay in age order. Sorted runs are merged, not sorted anew.
            order = np.argsort(keys, kind='stable')
            keys = keys[order]
        first = 0 if low is None else np.searchsorted(keys, *low)
        last = len(keys) if high is None else np.searchsorted(keys, *high)
        keys = keys[first:last]
        order = np.arange(first, last) if order is None else order[first:last]
        if self.replace or self.deletes or any(part.kinds is not None for part in parts):
            alive = np.flatnonzero(self._alive(_Rows.joined(parts).take(order))) if len(keys) else order
            keys, order = keys[alive], order[alive]
        # As bytes: numpy moves them as a whole then.
        whole = np.dtype(f'V{self.schema.dtype.itemsize}')
        records = np.concatenate([self.schema.records(part).view(whole) for part in parts])
        records = records[order].view(self.schema.dtype)
        if self.combine is not None and len(keys):
            starts = np.flatnonzero(_begins(keys))
            records, keys = _combined(records, starts, self.schema.fields, self.combine), keys[starts]
        return keys, records

    def _alive(self, rows):
        """A bool for each row of sorted rows: whether it is a put that counts. docs/file-format.md, Reading a table."""
        begins = _begins(rows.keys)
        starts, group = np.flatnonzero(begins), np.cumsum(begins) - 1
        place = np.arange(len(rows.keys))
        kinds = np.zeros(len(place), np.uint8) if rows.kinds is None else rows.kinds
        puts = kinds == PUT

        def last_where(chosen):
            """For each row, the last place in its key where `chosen` is true, or -1."""
            return np.maximum.reduceat(np.where(chosen, place, -1), starts)[group]

        alive = puts & (place > last_where(kinds == DELETE_KEY)) if (kinds == DELETE_KEY).any() else puts.copy()
        if (kinds == DELETE_RECORD).any():
            asked = np.flatnonzero(last_where(kinds == DELETE_RECORD) >= 0)
            lanes = self.schema.comparable(rows.lanes[:, asked])
            order = np.lexsort((asked, *lanes, group[asked]))
            asked, lanes = asked[order], lanes[:, order]
            same = _begins(group[asked])
            same[1:] |= (lanes[:, 1:] != lanes[:, :-1]).any(axis=0)
            deleted = np.maximum.reduceat(
                np.where(kinds[asked] == DELETE_RECORD, asked, -1), np.flatnonzero(same)
            )
            alive[asked] &= asked > deleted[np.cumsum(same) - 1]
        if self.replace:
            alive &= place == last_where(puts)
        if self.deletes is not None:
            alive &= ~self.deletes.hidden(rows)
        return alive


def _begins(keys):
    """A bool for each of the sorted keys: whether it is the first of its kind."""
    begins = np.ones(len(keys), bool)
    begins[1:] = keys[1:] != keys[:-1]
    return begins


def _ranges(first, counts):
    """The numbers first[i], first[i] + 1, ..., as many as counts[i], one range after another."""
    before = np.cumsum(counts) - counts
    return np.repeat(first - before, counts) + np.arange(counts.sum())


class _Rows:
    """
    Operations as columns, all of n rows: `keys`; `lanes`, u32 of V x n, those of the values; `kinds`, u8, or None where
    all are puts; `sequences`, i64: of rows of a bucket file, the last of the file.
    """

    def __init__(self, keys, lanes, kinds, sequences):
        self.keys, self.lanes, self.kinds, self.sequences = keys, lanes, kinds, sequences

    @staticmethod
    def joined(parts):
        if len(parts) == 1:
            return parts[0]
        kinds = None
        if any(part.kinds is not None for part in parts):
            zeros = (np.zeros(len(part.keys), np.uint8) if part.kinds is None else part.kinds for part in parts)
            kinds = np.concatenate(list(zeros))
        return _Rows(
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.lanes for part in parts], axis=1),
            kinds,
            np.concatenate([part.sequences for part in parts]),
        )

    def take(self, rows):
        kinds = None if self.kinds is None else self.kinds[rows]
        return _Rows(self.keys[rows], self.lanes[:, rows], kinds, self.sequences[rows])

    def between(self, low, high):
        """Of sorted rows, those in the range."""
        first = 0 if low is None else np.searchsorted(self.keys, *low)
        return self.take(slice(first, None if high is None else np.searchsorted(self.keys, *high)))


# ---- records: types, lanes and values ----

_SCALARS = {'u8': 1, 'u16': 2, 'u32': 4, 'u64': 8, 'i8': 1, 'i16': 2, 'i32': 4, 'i64': 8, 'f32': 4, 'f64': 8}


class _Field:
    """A field of the value, or the key: its type, its size in bytes, and its lanes, `lane` and those after it."""

    def __init__(self, name, stored, lane):
        self.name, self.type, self.lane = name, stored['type'], lane
        self.is_bytes = self.type not in _SCALARS
        self.size = stored['bytes'] if self.is_bytes else _SCALARS[self.type]
        self.lanes = -(-self.size // 4)
        # Natural widths of the lanes: the last one has the bytes that are left.
        self.widths = [4] * (self.lanes - 1) + [self.size - 4 * (self.lanes - 1)]
        # Where the bytes of a byte string are in its lanes, big-endian: those of the last lane are right-aligned.
        whole = 4 * (self.lanes - 1)
        self.places = [*range(whole), *range(4 * self.lanes - self.widths[-1], 4 * self.lanes)]
        if self.is_bytes:
            self.dtype = self.bits = np.dtype(f'V{self.size}')
        else:
            self.dtype = np.dtype(f'<{self.type[0]}{self.size}')
            self.bits = np.dtype(f'<u{self.size}')

    def values(self, number, lanes):
        """
        The bits of n values. `number`: their lanes as one number, of scalars; `lanes`: u32, lanes x n.
        """
        if self.is_bytes:
            big_endian = np.ascontiguousarray(lanes.T.astype('>u4')).view(np.uint8).reshape(lanes.shape[1], -1)
            return np.ascontiguousarray(big_endian[:, self.places]).view(self.bits)[:, 0]
        # The sign bit of integers is flipped in lanes.
        return number ^ number.dtype.type(1 << (8 * self.size - 1)) if self.type[0] == 'i' else number


class _Schema:
    """What a record is: its lanes, and its `dtype`. `manifest`: a checked one."""

    def __init__(self, manifest):
        stored = manifest['schema']
        value = stored['value']
        self.key = _Field('key', stored['key'], 0)
        self.fields = []
        lane = self.key.lanes
        for item in [] if value is None else value['fields'] if value['type'] == 'struct' else [value]:
            self.fields.append(_Field(item.get('name', 'value'), item, lane))
            lane += self.fields[-1].lanes
        self.key_lanes, self.lanes = self.key.lanes, lane
        every = [self.key, *self.fields]
        self.widths = [width for field in every for width in field.widths]
        self.record_bytes = sum(self.widths)
        self.dtype = np.dtype([(field.name, field.dtype) for field in every])
        self.bits = np.dtype([(field.name, field.bits) for field in every])
        self.floats = [field for field in self.fields if field.type in ('f32', 'f64')]
        self.key_dtype = np.dtype('<u8') if self.key_lanes <= 2 else np.dtype(f'S{4 * self.key_lanes}')
        # Narrow lanes, whose values may be out of bounds, each with the first number that is.
        narrow = enumerate(self.widths[self.key_lanes :])
        self.narrow = [(lane, 1 << (8 * width)) for lane, width in narrow if width < 4]

    def records(self, rows):
        """The rows as an array of `dtype`, whatever their kinds."""
        out = np.empty(len(rows.keys), self.bits)
        keys = rows.keys
        if self.key.is_bytes:
            out['key'] = self.key.values(None, self._lanes_of(keys))
        else:
            out['key'] = keys
        for field in self.fields:
            lanes = rows.lanes[field.lane - self.key_lanes :][: field.lanes]
            number = None if field.is_bytes else lanes[0] if field.lanes == 1 else _number(lanes)
            out[field.name] = field.values(number, lanes)
        return out.view(self.dtype)

    def misfit(self, rows):
        """The first row with a number in its key or value that the type does not have; None where there is none."""
        width = self.key.widths[-1]
        wrong = np.zeros(len(rows.keys), bool)
        if width < 4:
            wrong |= self._lanes_of(rows.keys)[-1] >> (8 * width) != 0
        for lane, end in self.narrow:
            # Where a key is deleted the values mean nothing.
            wrong |= (rows.lanes[lane] >= end) & (rows.kinds is None or rows.kinds != DELETE_KEY)
        return int(wrong.argmax()) if wrong.any() else None

    def _lanes_of(self, keys):
        """Keys as lanes: u32, K x n."""
        if self.key_lanes > 2:
            return keys.view('>u4').reshape(len(keys), -1).T.astype(np.uint32)
        return np.stack([keys >> 32 & 0xFFFFFFFF, keys & 0xFFFFFFFF][-self.key_lanes :]).astype(np.uint32)

    def comparable(self, lanes):
        """Value lanes, V x n, in which equal floats have equal bits: all NaN, and 0 and -0."""
        if not self.floats:
            return lanes
        lanes = lanes.copy()
        for field in self.floats:
            high, *low = lanes[field.lane - self.key_lanes :][: field.lanes]
            rest = low[0] if low else np.zeros_like(high)
            size, infinity = high & 0x7FFFFFFF, 0x7FF00000 if low else 0x7F800000
            nan = (size > infinity) | ((size == infinity) & (rest != 0))
            high[nan] = 0xFFFFFFFF
            high[(size == 0) & (rest == 0)] = 0
            if low:
                rest[nan] = 0xFFFFFFFF
        return lanes

    def keys_of(self, keys):
        """Keys as a caller gives them, in the form that they have inside: a 1-D array."""
        name = f'keys of type {self.key.type}'
        if not self.key.is_bytes:
            if not (isinstance(keys, np.ndarray) and keys.dtype.kind in 'ui'):
                keys = np.array([_integer(key, name) for key in keys], object)
            if keys.ndim != 1:
                raise ValueError(f'expected {name} in one dimension, found {keys.ndim}')
            if len(keys) and not 0 <= int(keys.min()) <= int(keys.max()) < 1 << (8 * self.key.size):
                raise ValueError(f'{name} are from 0 to {(1 << (8 * self.key.size)) - 1}')
            return keys.astype(np.uint64)
        size = self.key.size
        if isinstance(keys, np.ndarray) and keys.dtype.kind in 'VS' and keys.ndim == 1:
            keys = np.ascontiguousarray(keys).view(np.uint8).reshape(-1, keys.dtype.itemsize)
        elif not isinstance(keys, np.ndarray):
            keys = [memoryview(key).cast('B') if not isinstance(key, np.void) else key.tobytes() for key in keys]
            if any(len(key) != size for key in keys):
                raise ValueError(f'{name} have {size} bytes')
            keys = np.frombuffer(b''.join(keys), np.uint8).reshape(-1, size)
        if keys.dtype != np.uint8 or keys.ndim != 2 or keys.shape[1] != size:
            raise ValueError(f'{name} have {size} bytes')
        lanes = np.zeros((len(keys), 4 * self.key_lanes), np.uint8)
        lanes[:, self.key.places] = keys
        return _number(lanes.view('>u4').T)

    def bound(self, with_name, with_key, without_name, without_key):
        """An end of a range as a key and a side for `searchsorted`; None where there is none."""
        if with_key is not None and without_key is not None:
            raise ValueError(f'expected {with_name} or {without_name}, found both')
        if with_key is None and without_key is None:
            return None
        key = self.keys_of([without_key if with_key is None else with_key])[0]
        return key, 'left' if (with_key is None) == (without_name == 'lt') else 'right'


def _integer(key, name):
    if isinstance(key, (bool, np.bool_)) or not hasattr(key, '__index__'):
        raise TypeError(f'expected {name}, found {key!r}')
    return key.__index__()


def _number(lanes):
    """Lanes, u32, lanes x n with the highest first, as a 1-D array that sorts and compares as they do."""
    if len(lanes) == 1:
        return lanes[0].astype(np.uint64)
    if len(lanes) == 2:
        return lanes[0].astype(np.uint64) << np.uint64(32) | lanes[1]
    big_endian = np.ascontiguousarray(np.stack(list(lanes), axis=1).astype('>u4'))
    return big_endian.view(f'S{4 * len(lanes)}')[:, 0]


def _combined(records, starts, fields, operators):
    """The records of each key as one. `records`: by key, then from old to new; the keys begin at `starts`."""
    out = records[starts]
    ends = np.append(starts[1:], len(records))
    for field in fields:
        operator, column = operators[field.name], np.ascontiguousarray(records[field.name])
        if operator == 'first':
            continue
        if operator == 'last':
            out[field.name] = column[ends - 1]
        elif operator == 'sum':
            out[field.name] = _sums(column, starts, ends - starts)
        elif field.type[0] == 'f':
            out[field.name] = _float_extremes(column, starts, operator)
        else:
            ufunc = {'min': np.minimum, 'max': np.maximum, 'or': np.bitwise_or, 'and': np.bitwise_and}[operator]
            out[field.name] = ufunc.reduceat(column, starts)
    return out


def _sums(column, starts, counts):
    """Sums of the values of each key, added up from the oldest on: saturated, or rounded, each time."""
    sums = column[starts]
    # The j-th value of all keys that have one; keys with very many, one by one.
    for j in range(1, min(64, counts.max())):
        active = np.flatnonzero(counts > j)
        sums[active] = _sum(sums[active], column[starts[active] + j])
    for key in np.flatnonzero(counts > 64):
        for value in column[starts[key] + 64 : starts[key] + counts[key]]:
            sums[key : key + 1] = _sum(sums[key : key + 1], value)
    return sums


def _sum(a, b):
    kind, size = a.dtype.kind, a.dtype.itemsize
    if kind == 'f':
        with np.errstate(all='ignore'):
            total = a + b
        total[np.isnan(total)] = np.nan
        return total
    if size < 8:
        return np.clip(a.astype(np.int64) + b, np.iinfo(a.dtype).min, np.iinfo(a.dtype).max)
    with np.errstate(over='ignore'):
        total = a + b
    if kind == 'u':
        return np.where(total < a, np.iinfo(a.dtype).max, total)
    limit = np.where(a < 0, np.iinfo(a.dtype).min, np.iinfo(a.dtype).max)
    return np.where(((a ^ total) & (b ^ total)) < 0, limit, total)


def _float_extremes(column, starts, operator):
    """The least or greatest number of each key; of NaN alone, the oldest."""
    bits = column.view(f'<u{column.itemsize}')
    top = bits.dtype.type(1 << (8 * column.itemsize - 1))
    ordered = np.where(bits & top, ~bits, bits | top)
    # A NaN counts as what no number has.
    none = bits.dtype.type(0) if operator == 'max' else ~bits.dtype.type(0)
    ordered[np.isnan(column)] = none
    best = (np.maximum if operator == 'max' else np.minimum).reduceat(ordered, starts)
    found = np.where(best & top, best & ~top, ~best)
    return np.where(best == none, bits[starts], found).view(column.dtype)


# ---- delete where ----


class _Deletes:
    """
    All *delete where* entries, each `(sequence, values, ranges)`. `values`: pairs of a lane and its value; `ranges`:
    (lane, number of lanes, lower, upper), with bounds as lists of u32. Lanes are counted within the record.
    """

    def __init__(self, schema, entries):
        self.schema = schema
        clears, equal, self.others = [], {}, []
        for sequence, values, ranges in entries:
            if ranges and ranges[0][0] == 0:
                clears.append((sequence, *ranges[0][2:]))
            elif ranges:
                self.others.append((sequence, self._values(values), [self._range(*term) for term in ranges]))
            else:
                lanes, numbers = self._values(values)
                equal.setdefault(tuple(lanes), []).append((sequence, numbers))
        self.clears = None
        if clears:
            sequences = np.array([clear[0] for clear in clears], np.int64)
            low, high = (_number(np.array([clear[i] for clear in clears], np.uint32).T) for i in (1, 2))
            self.clears = sequences, low, high
        # For each set of lanes: the different values, ascending, and the newest entry of each.
        self.equal = []
        for lanes, found in equal.items():
            values, place = np.unique(_number(np.array([v for _, v in found], np.uint32).T), return_inverse=True)
            newest = np.zeros(len(values), np.int64)
            np.maximum.at(newest, place, [sequence for sequence, _ in found])
            self.equal.append((list(lanes), values, newest))

    def _values(self, values):
        """Value lanes, from 0 on, and their numbers, floats as `comparable` has them."""
        row = np.zeros((self.schema.lanes, 1), np.uint32)
        lanes = [lane for lane, _ in values]
        row[lanes, 0] = [value for _, value in values]
        lanes = [lane - self.schema.key_lanes for lane in lanes]
        return lanes, self.schema.comparable(row[self.schema.key_lanes :])[lanes, 0].tolist()

    def _range(self, lane, count, lower, upper):
        """A range with its bounds as `_number` has them, and the float that its lanes are, or None."""
        both = _number(np.array([lower, upper], np.uint32).T)
        is_float = [field for field in self.schema.floats if (field.lane, field.lanes) == (lane, count)]
        return lane - self.schema.key_lanes, count, both[0], both[1], bool(is_float)

    def hidden(self, rows):
        """A bool for each of the sorted rows: whether a newer entry fits it."""
        keys, sequences = rows.keys, rows.sequences
        hidden = np.zeros(len(keys), bool)
        if not len(keys):
            return hidden
        oldest = sequences.min()
        if self.clears is not None:
            newest, low, high = self.clears
            near = np.flatnonzero((newest > oldest) & (high >= keys[0]) & (low <= keys[-1]))
            first = np.searchsorted(keys, low[near], 'left')
            last = np.searchsorted(keys, high[near], 'right')
            for entry, a, b in zip(near, first, last):
                hidden[a:b] |= sequences[a:b] < newest[entry]
        if not self.equal and not self.others:
            return hidden
        lanes = self.schema.comparable(rows.lanes)
        for asked, values, newest in self.equal:
            if newest.max() > oldest:
                own = _number(lanes[asked])
                place = np.minimum(np.searchsorted(values, own), len(values) - 1)
                hidden |= (values[place] == own) & (newest[place] > sequences)
        for sequence, (asked, values), ranges in self.others:
            if sequence <= oldest:
                continue
            fits = sequences < sequence
            for lane, value in zip(asked, values):
                fits &= lanes[lane] == value
            for lane, count, lower, upper, is_float in ranges:
                number = _number(rows.lanes[lane : lane + count])
                if is_float:
                    top, ones = np.uint64(1 << (32 * count - 1)), np.uint64((1 << (32 * count)) - 1)
                    number = np.where(number & top, number ^ ones, number | top)
                fits &= (number >= lower) & (number <= upper)
            hidden |= fits
        return hidden


def _read_deletes(schema, data, at, count, fail):
    """`count` entries from byte `at` on: `(entries, end)`. Calls `fail` with what is wrong."""
    entries = []
    words = struct.Struct('<I')
    try:
        for _ in range(count):
            sequence = int.from_bytes(data[at : at + 6], 'little')
            (terms,) = struct.unpack_from('<H', data, at + 6)
            at += 8
            values, ranges, end = [], [], 0
            for _ in range(terms):
                lane, width = struct.unpack_from('<HH', data, at)
                numbers = [word for (word,) in words.iter_unpack(data[at + 4 : at + 4 + 4 * max(1, 2 * width)])]
                about_key = terms == 1 and lane == 0 and width == schema.key_lanes
                if lane < end or lane + max(1, width) > schema.lanes or not (about_key or lane >= schema.key_lanes):
                    fail('a delete-where entry about lanes that it cannot name')
                if len(numbers) != max(1, 2 * width) or numbers[:width] > numbers[width:] and width > 0:
                    fail('a delete-where entry that is cut off, or has a lower bound above the upper one')
                end = lane + max(1, width)
                at += 4 + 4 * len(numbers)
                if width == 0:
                    values.append((lane, numbers[0]))
                else:
                    ranges.append((lane, width, numbers[:width], numbers[width:]))
            named = {lane for lane, _ in values}
            if terms == 0 or any(f.lanes == 2 and (f.lane in named) != (f.lane + 1 in named) for f in schema.floats):
                fail('a delete-where entry about nothing, or about half of a float')
            entries.append((sequence, values, ranges))
    except struct.error:
        fail('a delete-where entry that is cut off')
    return entries, at


# ---- bits ----


def _wide(words):
    """Each u32 of the last axis with the one behind it, or zero, above it: u64."""
    wide = words.astype(np.uint64)
    wide[..., :-1] |= wide[..., 1:] << np.uint64(32)
    return wide


def _bits_at(wide, places, width):
    """The `width` bits, 0 to 32, at these places in bits of each stream in `wide`: u64."""
    values = np.take(wide, places >> 5, axis=-1)
    values >>= (places & 31).astype(np.uint64)
    values &= np.uint64((1 << width) - 1)
    return values


# ---- bucket files ----


def _file_seed(table_id, epoch, number):
    return zlib.crc32(bytes.fromhex(table_id) + struct.pack('<QQ', epoch, number))


def _position_seed(seed, position):
    return seed ^ ((position + 1) * 0x9E3779B1 & 0xFFFFFFFF)


class _File:
    """A file that is open for reading."""

    def __init__(self, path):
        self.path, self.fd = path, None
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.fd).st_size

    def read(self, offset, count):
        """`count` bytes; fewer where the file ends."""
        if self.fd is None:
            raise ValueError('the table is closed')
        parts = []
        while count > 0 and (part := os.pread(self.fd, min(count, 1 << 30), offset)):
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b''.join(parts)

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None

    __del__ = close


class _BucketFile:
    """
    A bucket file: its footer, fences and *delete where* entries are read at once, data pages when they are needed. Its
    filter is never read.
    """

    def __init__(self, directory, manifest, schema, entry):
        self.schema, self.page_bytes = schema, manifest['pageBytes']
        self.path = os.path.join(directory, f'{entry["number"]:06}.bucket')
        self.end_sequence = entry['endSequence']
        table_id = entry.get('tableId', manifest['tableId'])
        self.seed = _file_seed(table_id, entry['epoch'], entry['number'])
        self.file = _File(self.path)
        pages = entry['pages']
        if self.file.size != pages * self.page_bytes:
            raise Corruption(self.path, self.file.size, f'expected a file of {pages * self.page_bytes} bytes')
        offset = (pages - 1) * self.page_bytes
        head = self.file.read(offset, 16)
        magic, version = head[8:12], int.from_bytes(head[12:16], 'little')
        if magic == b'FTBK' and version not in (0, BUCKET_VERSION):
            raise UnsupportedFormat(f'{self.path} has version {version}; this reader knows {BUCKET_VERSION}')
        footer = self._pages(pages - 1, 1, FOOTER_PAGE)[0].tobytes()

        def u(at, size):
            return int.from_bytes(footer[at : at + size], 'little')

        expected = [(footer[8:12], b'FTBK'), (footer[16:32].hex(), table_id), (u(32, 6), entry['epoch'])]
        expected += [(u(40, 6), entry['number']), (u(38, 2), schema.key_lanes), (u(46, 2), schema.lanes)]
        expected += [(u(48, 4), self.page_bytes), (u(52, 4) + u(56, 4) + u(60, 4) + u(64, 4) + 1, pages)]
        expected += [(u(72, 6), entry['records'])]
        expected += [(u(96, 6), entry['firstSequence']), (u(104, 6), entry['endSequence'])]
        for found, wanted in expected:
            if found != wanted:
                raise Corruption(self.path, offset, f'the footer has {found!r} where {wanted!r} was expected')
        self.data_pages = u(52, 4)
        self.rows = u(72, 6) + u(80, 6) + u(88, 6)
        first = self.data_pages + u(56, 4)
        section = self._section(first, u(60, 4), DELETE_WHERE_PAGE)
        self.deletes, _ = _read_deletes(schema, section, 0, u(68, 4), self._fail_at(first))
        first += u(60, 4)
        stride = 4 * (schema.key_lanes + 1)
        section = self._section(first, u(64, 4), FENCE_PAGE)
        if len(section) < stride * self.data_pages:
            self._fail_at(first)('fewer fences than data pages')
        fences = np.frombuffer(section, '<u4', stride // 4 * self.data_pages).reshape(-1, stride // 4)
        self.fences = _number(fences[:, :-1].T)
        if (self.fences[1:] < self.fences[:-1]).any():
            self._fail_at(first)('fences that do not ascend')

    def close(self):
        self.file.close()

    def _fail_at(self, page):
        def fail(problem):
            raise Corruption(self.path, page * self.page_bytes, problem)

        return fail

    def _pages(self, first, count, kind):
        """Neighbouring pages whose checksums and kinds are right: u8, count x page bytes."""
        size = self.page_bytes
        data = self.file.read(first * size, count * size)
        if len(data) < count * size:
            raise Corruption(self.path, first * size + len(data), 'the file ends')
        pages = np.frombuffer(data, np.uint8).reshape(count, size)
        view = memoryview(data)
        found = pages[:, :4].copy().view('<u4')[:, 0].tolist()
        for i in range(count):
            if zlib.crc32(view[i * size + 4 : (i + 1) * size], _position_seed(self.seed, first + i)) != found[i]:
                self._fail_at(first + i)('the checksum does not fit')
        if (pages[:, 4] != kind).any():
            self._fail_at(first + int((pages[:, 4] != kind).argmax()))(f'no page of kind {kind}')
        return pages

    def _section(self, first, count, kind):
        """The bytes of pages without their headers."""
        step = max(1, BATCH_BYTES // self.page_bytes)
        steps = range(first, first + count, step)
        parts = (self._pages(at, min(step, first + count - at), kind)[:, 8:].tobytes() for at in steps)
        return b''.join(parts)

    def pages_of(self, keys):
        """For each key, the pages [first, last) where it may be: one, or more where a page begins with it."""
        last = np.searchsorted(self.fences, keys, 'right')
        first = np.maximum(np.searchsorted(self.fences, keys, 'left') - 1, 0)
        return np.minimum(first, last), last

    def pages_between(self, low, high):
        """The numbers of the data pages that may have keys of a range; see `_View.scan`."""
        # The page before the first one that begins in the range may reach into it.
        first = 0 if low is None else max(0, np.searchsorted(self.fences, low[0], 'left') - 1)
        return np.arange(first, self.data_pages if high is None else np.searchsorted(self.fences, *high))

    def load(self, numbers):
        """The data pages with these numbers, which ascend: u8, pages x page bytes."""
        runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
        parts = [self._pages(int(run[0]), len(run), DATA_PAGE) for run in runs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _decode_pages(schema, pages, fail):
    """
    Data pages, u8 of P x page bytes, as columns: `(rows of each page, keys, lanes, kinds)`, see `_Rows`.

    Calls `fail(page, problem)` where a page is not as the format says. docs/file-format.md, Data page.
    """
    packed = schema.lanes - schema.key_lanes + 1
    words = pages.view('<u4')
    page_words = words.shape[1]
    counts = (words[:, 1] >> 16).astype(np.int64)
    low_bits = words[:, 1] >> 8 & 0xFF
    at = 2 + schema.key_lanes
    buckets = (words[:, at] & 0xFFFF).astype(np.int64)
    row_bits = (words[:, at] >> 16).astype(np.int64)
    at = 4 * at + 4
    shifts, widths = pages[:, at], pages[:, at + 1 : at + 1 + packed]
    at = -(-(at + 1 + packed) // 4)
    bases = words[:, at : at + packed].astype(np.uint64)
    directory = at + packed

    # Samples are for lookups: only their size matters here.
    samples = (buckets + 15) // 16 * np.frexp(counts + buckets)[1]
    directory_bits = np.where(buckets > 0, samples + counts + buckets, 64)
    rows_at = directory + (directory_bits + 31) // 32
    fits = (counts >= 1) & (counts <= 32767) & (widths <= 32).all(axis=1)
    fits &= row_bits == low_bits + widths.sum(axis=1)
    fits &= (low_bits <= np.where(buckets > 0, 32 * schema.key_lanes, 52)) & (rows_at <= page_words)
    fits &= 32 * rows_at + counts * row_bits <= 32 * page_words
    if not fits.all():
        fail(int(fits.argmin()), 'sizes of rows and columns that do not fit')

    starts = np.cumsum(counts) - counts
    above = _buckets(pages, directory, samples, counts, buckets, fail)
    total = int(counts.sum())
    limbs = [np.empty(total, np.uint64) for _ in range((schema.key_lanes + 1) // 2)]
    lanes = np.empty((packed - 1, total), np.uint32)
    kinds = np.zeros(total, np.uint8)
    for same in _alike(counts, low_bits, shifts, buckets, widths):
        first = int(same[0])
        low, shift = int(low_bits[first]), int(shifts[first])
        rows = _Stream(words, same, rows_at, counts, int(row_bits[first]))
        target = slice(None) if len(same) == len(pages) else _ranges(starts[same], counts[same])
        keys = [rows.column(64 * i, low - 64 * i) for i in range(len(limbs))]
        if buckets[first] == 0:
            distance = words[same, directory] | words[same, directory + 1].astype(np.uint64) << np.uint64(32)
            last = distance.astype(float) * counts[same]
            if (distance < 1).any() or (last >= 2.0**53).any():
                fail(first, 'a distance of keys that is out of bounds')
            keys[0] += rows.numbered(distance)
        elif (int(buckets[same].max()) - 1).bit_length() + low + shift > 32 * schema.key_lanes:
            fail(first, 'keys that are too large')
        else:
            _add_shifted(keys, above[target], low)
        if not _add_first_keys(keys, words[same, 2 : 2 + schema.key_lanes], counts[same], shift):
            fail(first, 'keys that are too large')
        for limb, out in zip(keys, limbs):
            out[target] = limb
        offset = low
        for lane in range(packed):
            width = int(widths[first, lane])
            values = rows.column(offset, width, bases[same, lane])
            offset += width
            if lane < packed - 1:
                lanes[lane, target] = values
            elif (values > DELETE_RECORD).any():
                fail(first, 'an unknown kind of operation')
            else:
                kinds[target] = values
    if len(limbs) == 1:
        keys = limbs[0]
    else:
        big_endian = np.stack(limbs[::-1], axis=1).astype('>u8').view(np.uint8)
        keys = np.ascontiguousarray(big_endian[:, -4 * schema.key_lanes :]).view(schema.key_dtype)[:, 0]
    return counts, keys, lanes, kinds if kinds.any() else None


def _alike(counts, low_bits, shifts, buckets, widths):
    """The numbers of the pages, in groups that have the same widths, and about as many rows: within a factor of 2."""
    sizes = np.frexp(counts)[1]
    shape = np.column_stack([sizes, low_bits, shifts, buckets > 0, widths]).astype(np.uint8)
    groups = {}
    for page, key in enumerate(shape.view(f'V{shape.shape[1]}')[:, 0].tolist()):
        groups.setdefault(key, []).append(page)
    return [np.array(group) for group in groups.values()]


class _Stream:
    """The rows of pages that are alike, all of `row_bits` bits."""

    def __init__(self, words, pages, rows_at, counts, row_bits):
        counts = counts[pages]
        self.row, self.row_bits = np.arange(counts.max()), row_bits
        self.inside = None if counts.min() == len(self.row) else self.row < counts[:, None]
        # Each page from its first row on: so a row begins at the same bit in all of them.
        place = (words.shape[1] * pages + rows_at[pages])[:, None] + np.arange(len(self.row) * row_bits // 32 + 2)
        self.wide = _wide(np.take(words, place, mode='clip'))

    def column(self, offset, width, base=None):
        """Bits [offset, offset + width) of all rows, page after page; of more than 64 bits the lowest 64; u64."""
        if width <= 0:
            values = np.zeros((len(self.wide), len(self.row)), np.uint64)
        else:
            values = _bits_at(self.wide, self.row * self.row_bits + offset, min(32, width))
        if width > 32:
            high = _bits_at(self.wide, self.row * self.row_bits + offset + 32, min(32, width - 32))
            values |= high << np.uint64(32)
        if base is not None:
            values += base[:, None]
        return self._flat(values)

    def numbered(self, factors):
        """The number of each row in its page times the factor of the page: u64."""
        return self._flat(factors[:, None] * self.row.astype(np.uint64))

    def _flat(self, values):
        return values.ravel() if self.inside is None else values[self.inside]


def _buckets(pages, directory, samples, counts, buckets, fail):
    """The bucket of each row of all pages, page after page: u64. Of a page with even keys it means nothing."""
    coded = np.flatnonzero(buckets > 0)
    out = np.zeros(counts.sum(), np.uint64)
    if not len(coded):
        return out
    counts_coded, first = counts[coded], samples[coded]
    end = first + counts_coded + buckets[coded]
    section = pages[coded, 4 * directory : 4 * directory + -(-int(end.max()) // 8)]
    bits = np.unpackbits(section, axis=1, bitorder='little')
    column = np.arange(bits.shape[1])
    bits &= (column >= first[:, None]) & (column < end[:, None])
    ones = np.count_nonzero(bits, axis=1)
    if (ones != counts_coded).any():
        fail(int(coded[(ones != counts_coded).argmax()]), 'a directory of other rows than there are')
    # The 1s before a row are the rows before it; what is left are zeros: buckets that have ended.
    before = np.cumsum(counts_coded) - counts_coded
    begin = np.repeat(np.arange(len(coded)) * bits.shape[1] + first - before, counts_coded)
    found = np.flatnonzero(bits) - begin - np.arange(len(begin))
    if len(coded) == len(pages):
        return found.astype(np.uint64)
    starts = np.cumsum(counts) - counts
    out[_ranges(starts[coded], counts_coded)] = found
    return out


def _add_shifted(limbs, number, shift):
    """Adds number * 2^shift to numbers of 64 bits a limb, the lowest first, that have zeros there."""
    at, shift = divmod(shift, 64)
    if at < len(limbs):
        limbs[at] |= number << np.uint64(shift)
    if shift and at + 1 < len(limbs):
        limbs[at + 1] |= number >> np.uint64(64 - shift)


def _add_first_keys(limbs, first_keys, counts, shift):
    """Keys from what they are above the first key of their page, over 2^shift. False: too large for their lanes."""
    fits = True
    if shift:
        parts = [limb.copy() for limb in limbs]
        for limb in limbs:
            limb[:] = 0
        skipped, bits = divmod(shift, 64)
        for i, part in enumerate(parts):
            fits &= i + skipped < len(limbs) or not part.any()
            if i + skipped + 1 >= len(limbs) and bits:
                fits &= not (part >> np.uint64(64 - bits)).any()
            _add_shifted(limbs, part, shift + 64 * i)
    lanes = first_keys.shape[1]
    carry = np.uint64(0)
    for i, limb in enumerate(limbs):
        number = first_keys[:, lanes - 1 - 2 * i].astype(np.uint64)
        if lanes >= 2 * i + 2:
            number |= first_keys[:, lanes - 2 - 2 * i].astype(np.uint64) << np.uint64(32)
        number = np.repeat(number, counts)
        limb += number
        over = limb < number
        if i:
            limb += carry
            over |= limb < carry
        carry = over.astype(np.uint64) if len(limbs) > 1 else over
    return bool(fits and not carry.any() and (lanes % 2 == 0 or not (limbs[-1] >> np.uint64(32)).any()))


# ---- the log ----


class _Log:
    """What is in the log. `rows`: sorted by key, then by age; `deletes`: entries; `end`: the next sequence number."""

    def __init__(self, schema, raw, packed, deletes, end):
        parts = packed + _raw_rows(schema, raw)
        lanes, kinds, sequences = (
            (np.concatenate([part[i] for part in parts], axis=-1) for i in range(3))
            if parts
            else (np.zeros((schema.lanes, 0), np.uint32), np.zeros(0, np.uint8), np.zeros(0, np.int64))
        )
        keys = _number(lanes[: schema.key_lanes])
        order = np.argsort(sequences, kind='stable')
        order = order[np.argsort(keys[order], kind='stable')]
        kinds = kinds[order] if kinds.any() else None
        self.rows = _Rows(keys[order], lanes[schema.key_lanes :, order], kinds, sequences[order])
        self.deletes, self.end = deletes, end


def _raw_rows(schema, raw):
    """Rows in raw form, `raw`: (rows, kinds or None, sequence numbers) of many frames. As what `_Log` takes."""
    if not raw:
        return []
    data = np.frombuffer(b''.join(rows for rows, _, _ in raw), np.uint8).reshape(-1, schema.record_bytes)
    lanes = np.zeros((schema.lanes, len(data), 4), np.uint8)
    at = 0
    for lane, width in enumerate(schema.widths):
        lanes[lane, :, :width] = data[:, at : at + width]
        at += width
    kinds = b''.join(bytes(len(numbers)) if kinds is None else kinds for _, kinds, numbers in raw)
    first = np.array([numbers[0] for _, _, numbers in raw], np.int64)
    counts = np.array([len(numbers) for _, _, numbers in raw])
    if any(not isinstance(numbers, range) for _, _, numbers in raw):
        sequences = np.concatenate([np.asarray(numbers, np.int64) for _, _, numbers in raw])
    else:
        sequences = _ranges(first, counts)
    return [(lanes.view('<u4')[:, :, 0], np.frombuffer(kinds, np.uint8), sequences)]


def _packed_rows(schema, payload, count, fail):
    """A packed payload: `(lanes, kinds, end)`."""
    columns = schema.lanes + 1
    at = -(-5 * columns // 4) * 4
    widths = list(payload[4 * columns : 5 * columns])
    end = at + -(-count * sum(widths) // 32) * 4
    if len(payload) < at or max(widths) > 32 or end > len(payload):
        fail('columns that do not fit')
    wide = _wide(np.frombuffer(payload[at:end] + bytes(4), '<u4'))
    bases = struct.unpack_from(f'<{columns}I', payload)
    lanes = np.empty((columns, count), np.uint32)
    offset = 0
    for lane, (base, width) in enumerate(zip(bases, widths)):
        if width == 0:
            lanes[lane] = base
        else:
            lanes[lane] = _bits_at(wide, np.arange(count) * width + offset, width) + np.uint64(base)
        offset += count * width
    return lanes[:-1], lanes[-1], end


def _frame_at(file, offset, end, seed):
    """
    The valid header at `offset`, None where there is none: (first sequence number, synced one, operations, entries,
    encoding, payload, end). The payload is None where its checksum does not fit.
    """
    head = file.at(offset, 32)
    if len(head) < 16:
        return None
    seed = _position_seed(seed, offset // 4)
    encoding, words = head[4], head[5]
    first = int.from_bytes(head[6:12], 'little')
    if encoding in (3, 4):
        operations, entries = head[15], 0
        synced = first - int.from_bytes(head[12:15], 'little')
        stop = offset + 16 + 4 * words
        if words == 0 or operations == 0 or synced < 0 or stop > end:
            return None
        frame = file.at(offset, stop - offset)
        if zlib.crc32(frame[4:], seed) != int.from_bytes(frame[:4], 'little'):
            return None
        payload = frame[16:]
    else:
        checksum, operations, size, payload_checksum = struct.unpack_from('<I8xIII', head.ljust(32, b'\0'))
        synced, entries = int.from_bytes(head[24:30], 'little'), int.from_bytes(head[30:32], 'little')
        stop = offset + 32 + size
        possible = encoding <= 2 and words == 0 and 4 <= size <= 0x7FFF0000 and size % 4 == 0 and synced <= first
        if len(head) < 32 or not possible or operations > 8 * size or operations + entries == 0 or stop > end:
            return None
        if zlib.crc32(head[4:32], seed) != checksum:
            return None
        payload = file.at(offset + 32, size)
        if zlib.crc32(payload, seed) != payload_checksum:
            payload = None
    if first + operations + entries > U48_MAX:
        return None
    return first, synced, operations, entries, encoding, payload, stop


class _Window(_File):
    """A file that is read from its start on, in large pieces."""

    start, data = 0, b''

    def at(self, offset, count):
        if offset < self.start or offset + count > self.start + len(self.data):
            self.start, self.data = offset, self.read(offset, max(count, 1 << 20))
        return self.data[offset - self.start : offset - self.start + count]


def _read_log(directory, manifest, schema):
    """Reads the log as docs/file-format.md, WAL segments, says. Raises `_Missing` where a synced frame is not there."""
    closed = manifest['log']['closed']
    segments = [(item['number'], item['epoch'], item) for item in closed]
    if not manifest['clean']:
        numbers = {int(name[:-4]) for name in os.listdir(directory) if re.fullmatch(r'[0-9]{6,15}\.wal', name)}
        numbers = {number for number in numbers if number >= manifest['log']['firstSegment']}
        segments += [(number, manifest['epoch'], None) for number in sorted(numbers)]
    raw, packed, deletes, expected = [], [], [], manifest['firstLogSequence']
    for number, epoch, item in segments:
        file = _Window(os.path.join(directory, f'{number:06}.wal'))
        seed = _file_seed(manifest['tableId'], epoch, number)
        end = file.size if item is None else min(file.size, item['bytes'])
        offset = last = 0
        while offset + 16 <= end:
            frame = _frame_at(file, offset, end, seed)
            if frame is not None and frame[0] == expected and frame[5] is not None:
                _decode_frame(schema, file.path, offset, frame, raw, packed, deletes)
                expected += frame[2] + frame[3]
                offset = last = frame[6]
                continue
            if frame is not None and frame[1] > expected:
                raise _Missing(file.path, last, expected)
            offset = (offset // manifest['pageBytes'] + 1) * manifest['pageBytes']
        file.close()
        if item is not None and (expected, last) != (item['endSequence'], item['bytes']):
            raise Corruption(file.path, last, f'the segment ends with sequence number {expected}')
    return _Log(schema, raw, packed, deletes, expected)


def _decode_frame(schema, path, offset, frame, raw, packed, deletes):
    """Adds what is in a valid frame to the lists."""
    first, _, count, entry_count, encoding, payload, stop = frame

    def fail(problem):
        raise Corruption(path, offset, problem)

    if encoding == 2:
        lanes, kinds, end = _packed_rows(schema, payload, count, fail)
    else:
        size = count * schema.record_bytes
        end = -(-(size + (count if encoding in (1, 4) else 0)) // 4) * 4
        rows, kinds = payload[:size], payload[size : size + count] if encoding in (1, 4) else None
        if end > len(payload):
            fail('rows that do not fit')
    entries, end = _read_deletes(schema, payload, end, entry_count, fail)
    if end != len(payload):
        fail('a payload of another length')
    deletes += entries
    numbers = range(first, first + count + entry_count)
    if entries:
        taken = {entry[0] for entry in entries}
        numbers = [number for number in numbers if number not in taken]
    if len(numbers) != count:
        fail('entries with sequence numbers of other frames')
    if count == 0:
        return
    if kinds is not None and max(kinds) > DELETE_RECORD:
        fail('an unknown kind of operation')
    if encoding == 2:
        packed.append((lanes, kinds.astype(np.uint8), np.array(numbers, np.int64)))
        key = _number(lanes[: schema.key_lanes])
        if schema.misfit(_Rows(key, lanes[schema.key_lanes :], kinds, None)) is not None:
            fail('a number that its type does not have')
    else:
        raw.append((rows, kinds, numbers))


# ---- the manifest ----


def _read_manifest(directory):
    """The manifest, checked. Raises FileNotFoundError, `UnsupportedFormat` or `Corruption`."""
    file = _File(os.path.join(directory, 'MANIFEST'))
    try:
        data = file.read(0, MANIFEST_BYTES_MAX + 1)
    finally:
        file.close()
    version = re.match(rb'flashtable manifest ([1-9][0-9]{0,8}) ', data)
    if version and int(version[1]) != MANIFEST_VERSION:
        raise UnsupportedFormat(f'{file.path} has version {int(version[1])}; this reader knows {MANIFEST_VERSION}')
    line = re.match(rb'flashtable manifest 2 ([0-9a-f]{8}) (0|[1-9][0-9]{0,8})\n', data)
    if line is None or len(data) > MANIFEST_BYTES_MAX:
        raise Corruption(file.path, 0, 'it does not begin as a manifest does, or is too large')
    text = data[line.end() :]
    if len(text) != int(line[2]) or zlib.crc32(text) != int(line[1], 16):
        raise Corruption(file.path, line.end(), 'size or checksum do not fit')
    try:
        manifest = json.loads(text.decode(), parse_constant=_no_number)
        _check_manifest(manifest)
    except (ValueError, RecursionError) as error:
        raise Corruption(file.path, line.end(), f'no manifest: {error}') from error
    return manifest


def _no_number(text):
    raise ValueError(f'{text} is no number')


def _need(condition, problem):
    if not condition:
        raise ValueError(problem)


# What values are: a tuple, an integer from .. to; a list, a list of such; a dict, an object of just these fields, those
# with a ? may be missing; a pattern, a text; a class, one of it; None, anything.
_ID = re.compile('[0-9a-f]{32}')
_RANGE = {'firstSequence': (0, U48_MAX), 'endSequence': (1, U48_MAX)}
_NAMED = {'number': (1, 10**15 - 2), 'epoch': (1, U48_MAX), **_RANGE}
_COUNTERS = dict.fromkeys(
    ['walBytes', 'bucketBytes', 'manifestBytes', 'eventBytes?', 'recordBytes', 'records'], (0, SAFE_MAX)
)
_MANIFEST = {
    'tableId': _ID,
    'epoch': (1, U48_MAX),
    'schema': {'key': dict, 'value': None},
    'pageBytes': (4096, 65536),
    'duplicates': None,
    'mode': (0, 0o777),
    'files': [{'tableId?': _ID, 'level': (0, 63), 'pages': (1, SAFE_MAX >> 12), 'records': (0, U48_MAX), **_NAMED}],
    'log': {'closed': [{'bytes': (4, SAFE_MAX), **_NAMED}], 'firstSegment': (1, 10**15 - 1)},
    'firstLogSequence': (0, U48_MAX),
    'nextSequence': (0, U48_MAX),
    'nextFileNumber': (1, 10**15 - 1),
    'clean': bool,
    'counters': _COUNTERS,
    'meta': dict,
}


def _check(value, shape, name):
    """Raises ValueError where the value is not of this shape."""
    if isinstance(shape, tuple):
        low, high = shape
        _need(type(value) is int and low <= value <= high, f'{name} is no integer from {low} to {high}')
    elif isinstance(shape, list):
        _need(isinstance(value, list) and len(value) <= 65536, f'{name} is no list of at most 65536')
        for item in value:
            _check(item, shape[0], name)
    elif isinstance(shape, dict):
        needed = {field for field in shape if field[-1] != '?'}
        known = {field.rstrip('?'): inner for field, inner in shape.items()}
        _need(isinstance(value, dict) and needed <= set(value) <= set(known), f'{name} has other fields')
        for field, inner in value.items():
            _check(inner, known[field], field)
    elif isinstance(shape, re.Pattern):
        _need(isinstance(value, str) and shape.fullmatch(value), f'{name} is another text')
    elif shape is not None:
        _need(isinstance(value, shape), f'{name} is no {shape.__name__}')


def _check_manifest(manifest):
    """Raises ValueError for what docs/file-format.md, Manifest, does not allow."""
    _check(manifest, _MANIFEST, 'the manifest')
    log, files, closed = manifest['log'], manifest['files'], manifest['log']['closed']
    _need(manifest['pageBytes'] & (manifest['pageBytes'] - 1) == 0, 'pageBytes is no power of two')
    _need(log['firstSegment'] <= manifest['nextFileNumber'], 'firstSegment is too high')
    numbers = [entry['number'] for entry in [*files, *closed]]
    _need(len(set(numbers)) == len(numbers), 'two files have one number')
    _need(max(numbers, default=0) < manifest['nextFileNumber'], 'a number is too high')
    _need(all(entry['epoch'] <= manifest['epoch'] for entry in [*files, *closed]), 'an epoch is too high')
    _need(all(file.get('tableId') != manifest['tableId'] for file in files), 'a file names this table')
    levels = [file['level'] for file in files]
    _need(levels == sorted(levels, reverse=True), 'levels rise')
    end = 0
    for file in files:
        _need(end <= file['firstSequence'] < file['endSequence'], 'sequence ranges of files overlap')
        end = file['endSequence']
    _need(end <= manifest['firstLogSequence'] <= manifest['nextSequence'], 'the log begins elsewhere')
    end = manifest['firstLogSequence']
    for segment in closed:
        _need(end == segment['firstSequence'] < segment['endSequence'], 'sequence ranges of segments have gaps')
        _need(segment['bytes'] % 4 == 0, 'bytes is no multiple of 4')
        end = segment['endSequence']
    order = [segment['number'] for segment in closed] + [log['firstSegment']]
    _need(order == sorted(order), 'segments are not in order')
    following = manifest['nextSequence']
    _need(end == following if manifest['clean'] else end <= following, 'the log ends elsewhere')
    _check_schema(manifest['schema'], manifest['duplicates'])


def _check_schema(schema, duplicates):
    key, value, fields = schema['key'], schema['value'], []
    if isinstance(value, dict) and value.get('type') == 'struct':
        _check(value, {'type': str, 'fields': list}, 'schema.value')
        fields = value['fields']
        _need(1 <= len(fields) <= 64, 'a struct has 1 to 64 fields')
        for field in fields:
            _check_type(field, {'name': re.compile('.{1,64}')})
        names = [field['name'] for field in fields]
        _need(len({*names, 'key', 'query', 'value', '__proto__'}) == len(names) + 4, 'a name is taken')
    elif value is not None:
        _check_type(value, {})
        fields = [{**value, 'name': 'value'}]
    _check_type(key, {})
    _need(key['type'] in ('u8', 'u16', 'u32', 'u64') or key.get('bytes', 33) <= 32, 'schema.key has no type of key')
    size = sum(item['bytes'] if 'bytes' in item else _SCALARS[item['type']] for item in [key, *fields])
    _need(size <= 1024, 'a record has at most 1024 bytes')
    if duplicates in ('keep', 'replace'):
        return
    _check(duplicates, {field['name']: str for field in fields}, 'duplicates')
    for field in fields:
        kind = field['type'] if field['type'] in _SCALARS else 'bytes'
        known = 'first last' + ' sum min max' * (kind[0] in 'uif') + ' or and' * (kind[0] in 'ui')
        _need(duplicates[field['name']] in known.split(), 'duplicates has an operator that its field does not have')


def _check_type(value, more):
    kind = value.get('type') if isinstance(value, dict) else None
    shape = {'type': str, **more}
    if kind not in _SCALARS:
        shape.update({'bytes': (1, 1024)} if kind == 'bytes' else {'bytes': (1, 1024), 'encoding': str})
    _check(value, shape, 'a type')
    _need(kind in _SCALARS or kind in ('bytes', 'fixed', 'custom'), 'an unknown type')


def _same_files(before, after):
    same = all(before[name] == after[name] for name in ('tableId', 'epoch', 'firstLogSequence', 'files'))
    return same and before['log']['firstSegment'] == after['log']['firstSegment']


def _open_view(directory):
    """
    The table as it is now. Beside a writer files may go, and segments of the log be written over, while they are read:
    then all begins again. docs/file-format.md, Reading beside a writer.
    """
    missing = None
    for _ in range(ATTEMPTS_MAX):
        manifest = _read_manifest(directory)
        schema = _Schema(manifest)
        try:
            files = [_BucketFile(directory, manifest, schema, entry) for entry in manifest['files']]
            log = _read_log(directory, manifest, schema)
        except (Corruption, FileNotFoundError) as error:
            if not _same_files(manifest, _read_manifest(directory)):
                continue
            # It may have been read before it was written, and the later frame after.
            if isinstance(error, _Missing) and error.expected != missing:
                missing = error.expected
                continue
            if isinstance(error, FileNotFoundError):
                raise Corruption(error.filename, 0, 'the file is missing') from error
            raise Corruption(error.path, error.offset, error.problem) from None
        after = _read_manifest(directory)
        if after['tableId'] == manifest['tableId'] and log.end >= after['firstLogSequence']:
            return _View(manifest, schema, files, log)
    raise Error(f'{directory} changed {ATTEMPTS_MAX} times while it was opened: try again')
