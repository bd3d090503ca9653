"""The few native functions of the CPU runtime, as LLVM text: launch, guard, worker, parallel.

Compiled once per machine and kept in the disk store, so no C compiler is needed. Structure layouts
used here are CPython's and NumPy's; launcher.py checks each before it trusts them. Offsets:
``PyObject.ob_type`` 8, ``PyBytesObject.ob_sval`` 32, ``PyArrayObject``: data 16, nd 24, dimensions
32, descr 56, flags 64.
"""

from __future__ import annotations

import functools

from numr.codegen import store
from numr.codegen.backends.cpu import machine, objects

MAX_WORDS = 120

# The plan of a launch, in 8-byte words at the start of the bytes object that is its ``self``.
PLAN_FIELDS = (
    *("kernel", "arrays", "extra", "lo", "hi", "grain", "pool", "release"),
    *("ndarray", "none", "incref", "save", "restore", "set_error", "type_error", "message"),
    "threads",
)

_LAUNCH = f"""
define ptr @numr_launch(ptr %self, ptr %args, i64 %nargs) {{
entry:
  %words = alloca [{MAX_WORDS} x i64], align 16
  %plan = getelementptr i8, ptr %self, i64 32
  %fn = load ptr, ptr %plan
  %p1 = getelementptr i64, ptr %plan, i64 1
  %arrays = load i64, ptr %p1
  %p2 = getelementptr i64, ptr %plan, i64 2
  %extra = load i64, ptr %p2
  %p3 = getelementptr i64, ptr %plan, i64 3
  %lo = load i64, ptr %p3
  %p4 = getelementptr i64, ptr %plan, i64 4
  %hi = load i64, ptr %p4
  %p8 = getelementptr i64, ptr %plan, i64 8
  %ndarray = load ptr, ptr %p8
  %count.ok = icmp eq i64 %nargs, %arrays
  br i1 %count.ok, label %head, label %bad
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body.ok ]
  %more = icmp slt i64 %i, %nargs
  br i1 %more, label %body, label %extras
body:
  %slot = getelementptr ptr, ptr %args, i64 %i
  %object = load ptr, ptr %slot
  %type.at = getelementptr i8, ptr %object, i64 8
  %type = load ptr, ptr %type.at
  %type.ok = icmp eq ptr %type, %ndarray
  br i1 %type.ok, label %body.ok, label %bad
body.ok:
  %data.at = getelementptr i8, ptr %object, i64 16
  %data = load i64, ptr %data.at
  %word = getelementptr i64, ptr %words, i64 %i
  store i64 %data, ptr %word
  %i.next = add i64 %i, 1
  br label %head
extras:
  %j = phi i64 [ 0, %head ], [ %j.next, %copy ]
  %j.more = icmp slt i64 %j, %extra
  br i1 %j.more, label %copy, label %ready
copy:
  %from.i = add i64 %j, {len(PLAN_FIELDS)}
  %from = getelementptr i64, ptr %plan, i64 %from.i
  %value = load i64, ptr %from
  %to.i = add i64 %arrays, %j
  %to = getelementptr i64, ptr %words, i64 %to.i
  store i64 %value, ptr %to
  %j.next = add i64 %j, 1
  br label %extras
ready:
  %p7 = getelementptr i64, ptr %plan, i64 7
  %release = load i64, ptr %p7
  %release.is = icmp ne i64 %release, 0
  br i1 %release.is, label %large, label %small
small:
  call void %fn(i64 %lo, i64 %hi, ptr %words)
  br label %done
large:
  %p5 = getelementptr i64, ptr %plan, i64 5
  %grain = load i64, ptr %p5
  %p6 = getelementptr i64, ptr %plan, i64 6
  %pool = load ptr, ptr %p6
  %p11 = getelementptr i64, ptr %plan, i64 11
  %save = load ptr, ptr %p11
  %p12 = getelementptr i64, ptr %plan, i64 12
  %restore = load ptr, ptr %p12
  %p16 = getelementptr i64, ptr %plan, i64 16
  %threads = load i64, ptr %p16
  %thread = call ptr %save()
  call void @numr_parallel(ptr %pool, ptr %fn, ptr %words, i64 %lo, i64 %hi, i64 %grain, i64 %threads)
  call void %restore(ptr %thread)
  br label %done
done:
  %p9 = getelementptr i64, ptr %plan, i64 9
  %none = load ptr, ptr %p9
  %p10 = getelementptr i64, ptr %plan, i64 10
  %incref = load ptr, ptr %p10
  call void %incref(ptr %none)
  ret ptr %none
bad:
  %p13 = getelementptr i64, ptr %plan, i64 13
  %set.error = load ptr, ptr %p13
  %p14 = getelementptr i64, ptr %plan, i64 14
  %type.error = load ptr, ptr %p14
  %p15 = getelementptr i64, ptr %plan, i64 15
  %message = load ptr, ptr %p15
  call void %set.error(ptr %type.error, ptr %message)
  ret ptr null
}}
"""

# Guard words: ndarray, true, false, incref, count, then per argument: descr, nd, flags, dimensions.
_GUARD = """
define ptr @numr_guard(ptr %self, ptr %args, i64 %nargs) {
entry:
  %plan = getelementptr i8, ptr %self, i64 32
  %ndarray = load ptr, ptr %plan
  %p1 = getelementptr i64, ptr %plan, i64 1
  %yes = load ptr, ptr %p1
  %p2 = getelementptr i64, ptr %plan, i64 2
  %no = load ptr, ptr %p2
  %p3 = getelementptr i64, ptr %plan, i64 3
  %incref = load ptr, ptr %p3
  %p4 = getelementptr i64, ptr %plan, i64 4
  %count = load i64, ptr %p4
  %count.ok = icmp eq i64 %nargs, %count
  %first = getelementptr i64, ptr %plan, i64 5
  br i1 %count.ok, label %head, label %differs
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %at = phi ptr [ %first, %entry ], [ %at.next, %next ]
  %more = icmp slt i64 %i, %nargs
  br i1 %more, label %type, label %same
type:
  %slot = getelementptr ptr, ptr %args, i64 %i
  %object = load ptr, ptr %slot
  %type.at = getelementptr i8, ptr %object, i64 8
  %type.is = load ptr, ptr %type.at
  %type.ok = icmp eq ptr %type.is, %ndarray
  br i1 %type.ok, label %fields, label %differs
fields:
  %descr.at = getelementptr i8, ptr %object, i64 56
  %descr = load i64, ptr %descr.at
  %descr.want = load i64, ptr %at
  %descr.ok = icmp eq i64 %descr, %descr.want
  %nd.at = getelementptr i8, ptr %object, i64 24
  %nd.short = load i32, ptr %nd.at
  %nd = sext i32 %nd.short to i64
  %nd.want.at = getelementptr i64, ptr %at, i64 1
  %nd.want = load i64, ptr %nd.want.at
  %nd.ok = icmp eq i64 %nd, %nd.want
  %flags.at = getelementptr i8, ptr %object, i64 64
  %flags.short = load i32, ptr %flags.at
  %flags = zext i32 %flags.short to i64
  %flags.want.at = getelementptr i64, ptr %at, i64 2
  %flags.want = load i64, ptr %flags.want.at
  %flags.have = and i64 %flags, %flags.want
  %flags.ok = icmp eq i64 %flags.have, %flags.want
  %two.ok = and i1 %descr.ok, %nd.ok
  %all.ok = and i1 %two.ok, %flags.ok
  %dims.want = getelementptr i64, ptr %at, i64 3
  %dims.at = getelementptr i8, ptr %object, i64 32
  %dims = load ptr, ptr %dims.at
  br i1 %all.ok, label %shape, label %differs
shape:
  %d = phi i64 [ 0, %fields ], [ %d.next, %extent ]
  %d.more = icmp slt i64 %d, %nd
  br i1 %d.more, label %extent, label %next
extent:
  %have.at = getelementptr i64, ptr %dims, i64 %d
  %have = load i64, ptr %have.at
  %want.at = getelementptr i64, ptr %dims.want, i64 %d
  %want = load i64, ptr %want.at
  %d.next = add i64 %d, 1
  %extent.ok = icmp eq i64 %have, %want
  br i1 %extent.ok, label %shape, label %differs
next:
  %i.next = add i64 %i, 1
  %at.next = getelementptr i64, ptr %dims.want, i64 %nd
  br label %head
same:
  call void %incref(ptr %yes)
  ret ptr %yes
differs:
  call void %incref(ptr %no)
  ret ptr %no
}
"""

# The pool: word 0 busy, word 1 workers, word 2 kernel, word 3 words, word 4.. the semaphore "done"
# (32 bytes), word 8 the next piece to do, word 9 how many there are, words 10 and 11 where all of them
# begin and how long they are; then from byte 128 a semaphore "start" in 64 bytes for each worker. A
# worker is a thread that never needs the interpreter: it sleeps in sem_wait. Whoever is done with a piece
# takes the next, so that threads are busy to the end where pieces differ, or processors do.
POOL_HEADER = 128
POOL_SLOT = 64
POOL_DONE = 32
# Pieces for each thread, at most.
PIECES = 8

_POOL = (
    """
declare i32 @sem_wait(ptr)
declare i32 @sem_post(ptr)

define internal void @numr_wait(ptr %semaphore) {
entry:
  br label %again
again:
  %r = call i32 @sem_wait(ptr %semaphore)
  %interrupted = icmp ne i32 %r, 0
  br i1 %interrupted, label %again, label %done
done:
  ret void
}

define internal void @numr_pieces(ptr %pool) {
entry:
  %fn.at = getelementptr i8, ptr %pool, i64 16
  %fn = load ptr, ptr %fn.at
  %words.at = getelementptr i8, ptr %pool, i64 24
  %words = load ptr, ptr %words.at
  %next.at = getelementptr i8, ptr %pool, i64 64
  %count.at = getelementptr i8, ptr %pool, i64 72
  %count = load i64, ptr %count.at
  %lo.at = getelementptr i8, ptr %pool, i64 80
  %lo = load i64, ptr %lo.at
  %length.at = getelementptr i8, ptr %pool, i64 88
  %length = load i64, ptr %length.at
  br label %loop
loop:
  %part = atomicrmw add ptr %next.at, i64 1 monotonic
  %left = icmp slt i64 %part, %count
  br i1 %left, label %work, label %done
work:
  %lo.scaled = mul i64 %part, %length
  %lo.offset = sdiv i64 %lo.scaled, %count
  %lo.part = add i64 %lo, %lo.offset
  %hi.scaled = add i64 %lo.scaled, %length
  %hi.offset = sdiv i64 %hi.scaled, %count
  %hi.part = add i64 %lo, %hi.offset
  call void %fn(i64 %lo.part, i64 %hi.part, ptr %words)
  br label %loop
done:
  ret void
}

define void @numr_worker(ptr %pool, i64 %index) {
entry:
  %offset = mul i64 %index, 64
  %begin = add i64 %offset, HEADER
  %start = getelementptr i8, ptr %pool, i64 %begin
  %finished = getelementptr i8, ptr %pool, i64 32
  br label %loop
loop:
  call void @numr_wait(ptr %start)
  call void @numr_pieces(ptr %pool)
  %posted = call i32 @sem_post(ptr %finished)
  br label %loop
}

define void @numr_parallel(ptr %pool, ptr %fn, ptr %words, i64 %lo, i64 %hi, i64 %grain, i64 %limit) {
entry:
  %none = icmp eq ptr %pool, null
  %serial.asked = icmp sle i64 %grain, 0
  %alone = or i1 %none, %serial.asked
  br i1 %alone, label %serial, label %count
count:
  %workers.at = getelementptr i8, ptr %pool, i64 8
  %workers = load i64, ptr %workers.at
  %length = sub i64 %hi, %lo
  %pieces = sdiv i64 %length, %grain
  %present = add i64 %workers, 1
  %threads = call i64 @llvm.smin.i64(i64 %limit, i64 %present)
  %parts = call i64 @llvm.smin.i64(i64 %pieces, i64 %threads)
  %few = icmp sle i64 %parts, 1
  br i1 %few, label %serial, label %take
take:
  %taken = cmpxchg ptr %pool, i64 0, i64 1 acquire monotonic
  %mine = extractvalue { i64, i1 } %taken, 1
  br i1 %mine, label %split, label %serial
serial:
  call void %fn(i64 %lo, i64 %hi, ptr %words)
  ret void
split:
  %fn.at = getelementptr i8, ptr %pool, i64 16
  store ptr %fn, ptr %fn.at
  %words.at = getelementptr i8, ptr %pool, i64 24
  store ptr %words, ptr %words.at
  %next.at = getelementptr i8, ptr %pool, i64 64
  store atomic i64 0, ptr %next.at monotonic, align 8
  %most = mul i64 %parts, PIECES
  %cut = call i64 @llvm.smin.i64(i64 %pieces, i64 %most)
  %count.at = getelementptr i8, ptr %pool, i64 72
  store i64 %cut, ptr %count.at
  %lo.at = getelementptr i8, ptr %pool, i64 80
  store i64 %lo, ptr %lo.at
  %length.at = getelementptr i8, ptr %pool, i64 88
  store i64 %length, ptr %length.at
  br label %wake
wake:
  %part = phi i64 [ 1, %split ], [ %part.next, %wake ]
  %slot.offset = mul i64 %part, 64
  %slot.begin = add i64 %slot.offset, BEFORE
  %start = getelementptr i8, ptr %pool, i64 %slot.begin
  %posted = call i32 @sem_post(ptr %start)
  %part.next = add i64 %part, 1
  %more = icmp slt i64 %part.next, %parts
  br i1 %more, label %wake, label %own
own:
  call void @numr_pieces(ptr %pool)
  %finished = getelementptr i8, ptr %pool, i64 32
  br label %gather
gather:
  %left = phi i64 [ 1, %own ], [ %left.next, %gather ]
  call void @numr_wait(ptr %finished)
  %left.next = add i64 %left, 1
  %waiting = icmp slt i64 %left.next, %parts
  br i1 %waiting, label %gather, label %free
free:
  store atomic i64 0, ptr %pool release, align 8
  ret void
}

declare i64 @llvm.smin.i64(i64, i64)
""".replace("HEADER", str(POOL_HEADER))
    .replace("BEFORE", str(POOL_HEADER - POOL_SLOT))
    .replace("PIECES", str(PIECES))
)

# Where there are no POSIX semaphores in memory (macOS, Windows), a launch is serial.
_NO_POOL = """
define void @numr_parallel(ptr %pool, ptr %fn, ptr %words, i64 %lo, i64 %hi, i64 %grain, i64 %limit) {
  call void %fn(i64 %lo, i64 %hi, ptr %words)
  ret void
}
"""


def has_pool() -> bool:
    """Whether this platform has semaphores in plain memory (Linux)."""
    return "linux" in machine.host().triple


@functools.cache
def machine_code(text: str) -> bytes:
    """The machine code of native functions, made once a process and kept on disk."""
    key = f"numr native 1\n{machine.host().fingerprint}\n{text}"
    code = store.get("cpu", key)
    if code is None:
        code = machine.emit(machine.optimise(text))
        store.put("cpu", key, code)
    return code


@functools.cache
def address(name: str) -> int:
    """The address of one of the native functions."""
    return objects.load(machine_code(_LAUNCH + _GUARD + (_POOL if has_pool() else _NO_POOL)), name)
