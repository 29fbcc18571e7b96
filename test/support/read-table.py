"""
Reads tables for test/format/python-reader.test.ts with tools/python/flashtable.py: a command a line, as JSON, an answer a
line. One process for all tests: numpy takes a while to load.
"""
import base64
import json
import os
import random
import resource
import struct
import sys
import zlib

import flashtable
import numpy as np

tables = {}


def key_of(table, text):
    """Keys come as decimal numbers, or as hexadecimal digits of bytes."""
    return bytes.fromhex(text) if table.dtype['key'].kind == 'V' else int(text)


def bounds_of(table, command):
    return {name: key_of(table, text) for name, text in command.get('bounds', {}).items()}


def columns(records):
    """Each column as its bytes: exact for every type, NaN included."""
    names = records.dtype.names
    encoded = {name: base64.b64encode(np.ascontiguousarray(records[name]).tobytes()).decode() for name in names}
    return {'count': len(records), 'columns': encoded}


def scan(table, command):
    parts = list(table.scan(**bounds_of(table, command)))
    whole = np.concatenate([np.empty(0, table.dtype), *parts])
    return {**columns(whole), 'parts': len(parts), 'counted': table.count(**bounds_of(table, command))}


def lookup(table, command):
    keys = [key_of(table, text) for text in command['keys']]
    query, records = table.lookup(keys)
    for i in command.get('check', []):
        own = records[query == i]
        newest = table.get(keys[i])
        assert table.get_all(keys[i]).tobytes() == own.tobytes()
        assert (newest is None) == (len(own) == 0) and (newest is None or newest.tobytes() == own[-1].tobytes())
    return {**columns(records), 'query': query.tolist()}


def watch(_, command):
    """
    Opens and refreshes a table of the numbers 0, 1, 2, ... while they are put. Ends when there are enough. Each read makes
    the file `reads` a byte longer.
    """
    seen = reads = 0
    with flashtable.open(command['path']) as table, open(command['reads'], 'wb', buffering=0) as told:
        while seen < command['until']:
            table.refresh()
            value = table.to_numpy()['value']
            assert len(value) >= seen and (value == np.arange(len(value))).all(), 'a prefix of what was put'
            seen, reads = len(value), reads + 1
            told.write(b'.')
    return {'seen': seen, 'reads': reads}


def answer_of(path):
    with flashtable.open(path) as table:
        return columns(table.to_numpy()), table.meta


def refitted(manifest, name, data, at):
    """The data with the checksum of the page, or of the manifest, around byte `at` made to fit again; None: no such."""
    if name == 'MANIFEST':
        text = bytes(data).split(b'\n', 1)[1]
        return b'flashtable manifest 2 %08x %d\n' % (zlib.crc32(text), len(text)) + text
    for entry in manifest['files']:
        if name == f'{entry["number"]:06}.bucket':
            size = manifest['pageBytes']
            page = at // size
            seed = flashtable._file_seed(entry.get('tableId', manifest['tableId']), entry['epoch'], entry['number'])
            body = data[page * size + 4 : (page + 1) * size]
            struct.pack_into('<I', data, page * size, zlib.crc32(body, flashtable._position_seed(seed, page)))
            return bytes(data)
    for segment in manifest['log']['closed']:
        if name == f'{segment["number"]:06}.wal':
            # The first frame alone.
            seed = flashtable._file_seed(manifest['tableId'], segment['epoch'], segment['number'])
            seed = flashtable._position_seed(seed, 0)
            if data[4] >= 3:
                struct.pack_into('<I', data, 0, zlib.crc32(data[4 : 16 + 4 * data[5]], seed))
            else:
                (payload,) = struct.unpack_from('<I', data, 16)
                struct.pack_into('<I', data, 20, zlib.crc32(data[32 : 32 + payload], seed))
                struct.pack_into('<I', data, 0, zlib.crc32(data[4:32], seed))
            return bytes(data)
    return None


def is_place_of(error):
    """Whether the error names a place of the file: that of a missing file, or of its end, is one."""
    size = os.path.getsize(error.path) if os.path.exists(error.path) else 0
    return 0 <= error.offset <= size


def patch(_, command):
    """Writes bytes into a file, and lets the checksum around them fit."""
    with open(os.path.join(command['path'], 'MANIFEST'), 'rb') as opened:
        manifest = json.loads(opened.read().split(b'\n', 1)[1])
    name, at, new = command['name'], command['at'], bytes.fromhex(command['hex'])
    with open(os.path.join(command['path'], name), 'r+b') as opened:
        data = bytearray(opened.read())
        data[at : at + len(new)] = new
        opened.seek(0)
        opened.write(refitted(manifest, name, data, at))
    return {}


def overtaken(_, command):
    """Opens a table that becomes `next` after its manifest was read, before its log is: how many records, and reads."""
    path, reads, read_log = command['path'], [], flashtable._read_log

    def late(*arguments):
        if not reads:
            os.rename(path, path + '.before')
            os.rename(command['next'], path)
        reads.append(arguments)
        return read_log(*arguments)

    flashtable._read_log = late
    try:
        with flashtable.open(path) as table:
            return {'count': table.count(), 'reads': len(reads)}
    finally:
        flashtable._read_log = read_log


def damage(_, command):
    """
    Damages one file after another, and reads the table each time: how often it was `same`, and `refused`; what was
    `wrong`. `kind`: `flip` one bit; `cut` the file off; `remove` it; `refit`: change a byte, and let the checksum fit.
    """
    path, kind, choose = command['path'], command['kind'], random.Random(command['seed'])
    whole = answer_of(path)
    with open(os.path.join(path, 'MANIFEST'), 'rb') as opened:
        manifest = json.loads(opened.read().split(b'\n', 1)[1])
    counts = {'same': 0, 'refused': 0, 'other': 0, 'wrong': []}
    names = [name for name in sorted(os.listdir(path)) if not name.startswith('LOCK')]
    for name in names:
        file = os.path.join(path, name)
        with open(file, 'rb') as opened:
            before = opened.read()
        times = 1 if kind == 'remove' else min(len(before), command['times'] * (4 if name == 'MANIFEST' else 1))
        places = choose.sample(range(len(before)), times) if before else []
        for i, at in enumerate(places):
            # Every other one is in the header of a page or frame, or behind it: there are lengths.
            at = at // 4096 * 4096 + choose.randrange(128) if i % 2 and kind != 'cut' and name != 'MANIFEST' else at
            at = min(at, len(before) - 1)
            data = bytearray(before)
            if kind == 'cut':
                del data[at:]
            elif kind == 'flip':
                data[at] ^= 1 << choose.randrange(8)
            elif kind == 'refit':
                data[at] = choose.choice([0, 1, 0x7F, 0xFF, choose.randrange(256)])
                data = refitted(manifest, name, data, at)
            if kind == 'remove':
                os.rename(file, file + '.away')
            elif data is None:
                continue
            else:
                with open(file, 'wb') as opened:
                    opened.write(data)
            try:
                counts['same' if answer_of(path) == whole else 'other'] += 1
                if kind != 'refit' and counts['other']:
                    counts['wrong'].append(f'{kind} {name} {at}: another answer')
            except (flashtable.Error, FileNotFoundError) as error:
                counts['refused'] += 1
                if isinstance(error, FileNotFoundError) and name != 'MANIFEST':
                    counts['wrong'].append(f'{kind} {name}: {error!r}')
                if isinstance(error, flashtable.Corruption) and not is_place_of(error):
                    counts['wrong'].append(f'{kind} {name} {at}: offset {error.offset}')
            except Exception as error:
                counts['wrong'].append(f'{kind} {name} {at}: {error!r}')
            if kind == 'remove':
                os.rename(file + '.away', file)
        if kind != 'remove':
            with open(file, 'wb') as opened:
                opened.write(before)
    return counts


def error_of(_, command):
    """The class of the error that a use of the table raises, and its message."""
    try:
        with flashtable.open(command['path']) as table:
            eval(command['use'], {'table': table, 'np': np, 'flashtable': flashtable})
    except Exception as error:
        return {'error': type(error).__name__, 'message': str(error)}
    return {'error': None, 'message': ''}


def value_of(table, command):
    return {'value': repr(eval(command['use'], {'table': table, 'np': np}))}


def use(_, command):
    """Reads with a table that stays open from one command to the next, and is refreshed."""
    path = command['path']
    if path in tables:
        tables[path].refresh()
    else:
        tables[path] = flashtable.open(path)
    return {'scan': scan, 'lookup': lookup, 'value': value_of}[command['do']](tables[path], command)


def forget(_, command):
    tables.pop(command['path']).close()
    return {}


COMMANDS = {'use': use, 'forget': forget, 'watch': watch, 'damage': damage, 'patch': patch, 'overtaken': overtaken, 'error': error_of}


def main():
    # What asks for more memory than any of these tables could need gets an error.
    resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = COMMANDS[command['command']](None, command)
        except BaseException as error:
            import traceback

            answer = {'failed': f'{error!r}\n{traceback.format_exc()}'}
        print(json.dumps(answer), flush=True)


main()
