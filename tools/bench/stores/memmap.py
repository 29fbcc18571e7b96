"""A hash table of fixed slots in a file that numpy maps into memory, as docs/benchmarks.md describes it.

Reads packed records of 16 bytes from the standard input, in batches, and inserts them; if "flush" is 1 it calls
flush() after each batch, so that the batch is on the device. Prints the seconds that the inserts took.
"""
import sys
import time

import numpy as np

path = sys.argv[1]
buckets, slots, batch, flush = map(int, sys.argv[2:6])
record = np.dtype([("key", "<u8"), ("time", "<u2"), ("flags", "<u2"), ("id", "<i4")])
table = np.memmap(path, dtype=record, mode="w+", shape=(buckets, slots))
shift = np.uint64(64 - (buckets.bit_length() - 1))
multiplier = np.uint64(0x9E3779B97F4A7C15)
spent, dropped = 0.0, 0
while True:
    data = sys.stdin.buffer.read(batch * record.itemsize)
    if not data:
        break
    start = time.perf_counter()
    rows = np.frombuffer(data, dtype=record)
    home = ((rows["key"] * multiplier) >> shift).astype(np.int64)
    order = np.argsort(home, kind="stable")
    rows, home = rows[order], home[order]
    first = np.flatnonzero(np.r_[True, home[1:] != home[:-1]])
    counts = np.diff(np.r_[first, len(home)])
    rank = np.arange(len(home)) - np.repeat(first, counts)
    # Slot 0 of a bucket is its head: "id" there is the next free slot.
    heads = table["id"][:, 0]
    slot = np.maximum(heads[home], 1) + rank
    fits = slot < slots
    dropped += int(len(fits) - fits.sum())
    table[home[fits], slot[fits]] = rows[fits]
    heads[home[first]] = np.minimum(np.maximum(heads[home[first]], 1) + counts, slots)
    if flush:
        table.flush()
    spent += time.perf_counter() - start
print(spent, dropped)
