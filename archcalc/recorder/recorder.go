// The recorder of archcalc, compiled into package runtime by `go build -overlay`.
//
// Each thread writes records into a buffer of its own, mapped aside from all that the allocator sees, and
// writes it out with a plain write(2) when it is full. No lock is taken and nothing is allocated. A record's
// number, drawn from one counter inside the critical section that it tells of, is its place in the order.
//
// A record is two 32-bit words and then words of the machine's size:
//
//	number; kind, words that follow, id of the P and one (0: none); words
//
// A buffer is written as a chunk: magic, thread, bytes with this head, 0; records.

package runtime

import (
	"internal/goarch"
	"internal/runtime/atomic"
	"unsafe"
)

const (
	archcalcMagic   = 0x41524332
	archcalcThreads = 1 << 16
	archcalcBytes   = 1 << 18
	archcalcHead    = 16
	archcalcMost    = 250 // words of a record
)

type archcalcBuffer struct {
	pos   uintptr
	end   uintptr
	base  uintptr
	busy  uint32 // 0, 1 while its thread writes a record, 2 while another thread writes it out
	own   int32  // what asks for memory is the allocator itself
	depth int32  // brackets that are open
}

var (
	archcalcOn      uint32 // 0 not recording, 1 recording, 2 the end has begun, 3 the recording ends before that
	archcalcFd      int32
	archcalcNumber  uint32
	archcalcCloser  int64
	archcalcWritten uint32  // 1 once all of the recording is in its file
	archcalcTable   uintptr // of *archcalcBuffer, by thread
	archcalcLast    uint32  // the highest thread that may have one
	archcalcAside   uintptr // memory for what is too big for a stack
)

func archcalcMap(n uintptr) uintptr {
	p, err := mmap(nil, n, _PROT_READ|_PROT_WRITE, _MAP_ANON|_MAP_PRIVATE, -1, 0)
	if err != 0 {
		return 0
	}
	return uintptr(p)
}

// archcalcStart opens the file that the environment names, before the first request.
func archcalcStart() {
	const name = "ARCHCALC_RECORD="
	if archcalcOn != 0 {
		return
	}
	var path *byte
	for i := argc + 1; argv_index(argv, i) != nil; i++ {
		p := argv_index(argv, i)
		found := true
		for j := 0; j < len(name); j++ {
			if *(*byte)(add(unsafe.Pointer(p), uintptr(j))) != name[j] {
				found = false
				break
			}
		}
		if found {
			path = (*byte)(add(unsafe.Pointer(p), uintptr(len(name))))
			break
		}
	}
	if path == nil || *path == 0 {
		return
	}
	// A program that this one starts finds the file there and leaves it alone.
	const appends, excl = 0x400 - 0x3f8*(goarch.IsMips|goarch.IsMipsle|goarch.IsMips64|goarch.IsMips64le), 0x80 + 0x380*(goarch.IsMips|goarch.IsMipsle|goarch.IsMips64|goarch.IsMips64le)
	fd := open(path, _O_WRONLY|_O_CREAT|_O_CLOEXEC|appends|excl, 0o644)
	if fd < 0 {
		return
	}
	// The program's own files keep their numbers.
	const dupCloexec = 1030
	if high, errno := fcntl(fd, dupCloexec, 900); errno == 0 && high > 0 {
		closefd(fd)
		fd = high
	}
	archcalcFd = fd
	archcalcTable = archcalcMap(archcalcThreads * goarch.PtrSize)
	archcalcAside = archcalcMap(1 << 16)
	if archcalcTable == 0 || archcalcAside == 0 {
		return
	}
	archcalcOn = 1
	archcalcMeta(1, firstmoduledata.end)
	archcalcMeta(2, firstmoduledata.types)
	archcalcMeta(3, firstmoduledata.etypes)
	archcalcMeta(4, physPageSize)
	archcalcMeta(5, physHugePageSize)
	archcalcMeta(6, uintptr(unsafe.Pointer(&mheap_)))
	archcalcMeta(7, uintptr(unsafe.Pointer(&emptymspan)))
	archcalcMeta(8, unsafe.Sizeof(mspan{}))
	archcalcMeta(9, uintptr(unsafe.Pointer(&zerobase)))
	archcalcMeta(10, firstmoduledata.text)
	archcalcMeta(12, uintptr(unsafe.Pointer(firstmoduledata.pcHeader)))
}

// archcalcDebug tells the settings of GODEBUG by which memory is taken and given back.
func archcalcDebug() {
	archcalcMeta(13, uintptr(bool2int(debug.madvdontneed != 0)|bool2int(debug.harddecommit != 0)<<1|bool2int(debug.disablethp != 0)<<2))
}

func archcalcMeta(key, value uintptr) { archcalcRecord('#', 2, key, value, 0, 0, 0, 0) }

// archcalcBuf is the buffer of the thread, nil where it cannot have one.
//
//go:nosplit
func archcalcBuf() *archcalcBuffer {
	id := uintptr(getg().m.id)
	if id >= archcalcThreads {
		return nil
	}
	slot := (*uintptr)(unsafe.Pointer(archcalcTable + id*goarch.PtrSize))
	if *slot == 0 {
		*slot = archcalcNewBuf()
	}
	return (*archcalcBuffer)(unsafe.Pointer(*slot))
}

//go:nosplit
func archcalcNewBuf() uintptr {
	p, err := mmap(nil, archcalcBytes, _PROT_READ|_PROT_WRITE, _MAP_ANON|_MAP_PRIVATE, -1, 0)
	if err != 0 {
		return 0
	}
	b := (*archcalcBuffer)(p)
	b.base = uintptr(p) + 64
	b.pos = b.base + archcalcHead
	b.end = uintptr(p) + archcalcBytes
	for {
		last := atomic.Load(&archcalcLast)
		if id := uint32(getg().m.id); id <= last || atomic.Cas(&archcalcLast, last, id) {
			return uintptr(p)
		}
	}
}

// archcalcBegin makes room for a record and writes its head. The caller fills it and calls archcalcDone.
//
//go:nosplit
func archcalcBegin(kind uintptr, words uintptr) (b *archcalcBuffer, at uintptr) {
	if archcalcOn == 0 {
		return nil, 0
	}
	b = archcalcBuf()
	if b == nil {
		archcalcGiveUp()
		return nil, 0
	}
	// A signal's handler may come in the middle of a record of its own thread: then it is 1 already.
	for !atomic.Cas(&b.busy, 0, 1) && atomic.Load(&b.busy) == 2 {
		osyield()
	}
	size := 8 + words*goarch.PtrSize
	if goarch.PtrSize == 4 {
		size = (size + 7) &^ 7
	}
	if b.pos+size > b.end {
		archcalcFlush(b, int64(getg().m.id))
		archcalcFlushOthers()
	}
	number := atomic.Xadd(&archcalcNumber, 1)
	if archcalcOn != 1 && archcalcCloser != int64(getg().m.id) {
		// The end has begun: this thread's part in the recording is over.
		atomic.StoreRel(&b.busy, 0)
		for archcalcOn == 2 {
			usleep(10000)
		}
		for archcalcOn == 3 {
			usleep(100)
		}
		return nil, 0
	}
	at = b.pos
	*(*uint32)(unsafe.Pointer(at)) = number
	p := uint32(0)
	if pp := getg().m.p.ptr(); pp != nil {
		p = uint32(pp.id) + 1
	}
	*(*uint32)(unsafe.Pointer(at + 4)) = uint32(kind) | uint32(words)<<8 | p<<16
	return b, at + 8
}

//go:nosplit
func archcalcDone(b *archcalcBuffer, at uintptr) {
	if goarch.PtrSize == 4 {
		at = (at + 7) &^ 7
	}
	b.pos = at
	atomic.StoreRel(&b.busy, 0)
}

//go:nosplit
func archcalcRecord(kind, words, a, b, c, d, e, f uintptr) {
	buf, at := archcalcBegin(kind, words)
	if buf == nil {
		return
	}
	w := (*[6]uintptr)(unsafe.Pointer(at))
	switch words {
	case 6:
		w[5] = f
		fallthrough
	case 5:
		w[4] = e
		fallthrough
	case 4:
		w[3] = d
		fallthrough
	case 3:
		w[2] = c
		fallthrough
	case 2:
		w[1] = b
		fallthrough
	case 1:
		w[0] = a
	}
	archcalcDone(buf, at+words*goarch.PtrSize)
}

//go:nosplit
func archcalcFlush(b *archcalcBuffer, thread int64) {
	n := b.pos - b.base
	if n > archcalcHead {
		head := (*[4]uint32)(unsafe.Pointer(b.base))
		head[0], head[1], head[2], head[3] = archcalcMagic, uint32(thread), uint32(n), 0
		p := b.base
		for n > 0 {
			wrote := write1(uintptr(archcalcFd), unsafe.Pointer(p), int32(n))
			if wrote == -4 {
				continue
			}
			if wrote <= 0 {
				archcalcOn = 0 // the disk is full: what there is stays
				break
			}
			p += uintptr(wrote)
			n -= uintptr(wrote)
		}
	}
	b.pos = b.base + archcalcHead
}

// archcalcFlushOthers writes out what the other threads have. One that writes a record is left out: what it has
// is written out another time.
//
// So a program that is killed has lost little: with each full buffer of a thread go the records of all others,
// without which its own would have gaps before them.
//
//go:nosplit
func archcalcFlushOthers() {
	me := uintptr(getg().m.id)
	for i := uintptr(0); i <= uintptr(atomic.Load(&archcalcLast)) && archcalcOn == 1; i++ {
		b := (*archcalcBuffer)(unsafe.Pointer(*(*uintptr)(unsafe.Pointer(archcalcTable + i*goarch.PtrSize))))
		if i != me && b != nil && b.pos > b.base+archcalcHead && atomic.Cas(&b.busy, 0, 2) {
			archcalcFlush(b, int64(i))
			atomic.StoreRel(&b.busy, 0)
		}
	}
}

// archcalcBecomes writes out what there is before another program takes this one's place.
//
//go:nosplit
func archcalcBecomes() {
	if archcalcOn == 1 {
		archcalcFlushOthers()
		b := archcalcBuf()
		if b != nil && atomic.Cas(&b.busy, 0, 1) {
			archcalcFlush(b, int64(getg().m.id))
			atomic.StoreRel(&b.busy, 0)
		}
	}
}

// archcalcText is a record of a string: words of fields, its length, its bytes.
//
//go:nosplit
func archcalcText(kind, key uintptr, s string) {
	n := uintptr(len(s))
	if n > 1024 {
		n = 1024
	}
	words := 2 + (n+goarch.PtrSize-1)/goarch.PtrSize
	if words > archcalcMost {
		words = archcalcMost
		n = (words - 2) * goarch.PtrSize
	}
	b, at := archcalcBegin(kind, words)
	if b == nil {
		return
	}
	*(*uintptr)(unsafe.Pointer(at)) = key
	*(*uintptr)(unsafe.Pointer(at + goarch.PtrSize)) = n
	for i := uintptr(0); i < n; i++ {
		*(*byte)(unsafe.Pointer(at + 2*goarch.PtrSize + i)) = s[i]
	}
	archcalcDone(b, at+words*goarch.PtrSize)
}

//go:nosplit
func archcalcOwn(by int32) {
	if archcalcOn == 0 {
		return
	}
	if b := archcalcBuf(); b != nil {
		b.own += by
	}
}

//go:nosplit
func archcalcIsOwn() bool {
	if archcalcOn == 0 {
		return false
	}
	b := archcalcBuf()
	return b != nil && b.own != 0
}

// archcalcNamed tells of a mapping that was given a name.
//
//go:nosplit
func archcalcNamed(addr unsafe.Pointer, n uintptr, name string, err uintptr) {
	count := uintptr(len(name))
	if count > 80 {
		count = 80
	}
	words := 4 + (count+goarch.PtrSize-1)/goarch.PtrSize
	b, at := archcalcBegin('N', words)
	if b == nil {
		return
	}
	w := (*[4]uintptr)(unsafe.Pointer(at))
	w[0], w[1], w[2], w[3] = uintptr(addr), n, err, count
	for i := uintptr(0); i < count; i++ {
		*(*byte)(unsafe.Pointer(at + 4*goarch.PtrSize + i)) = name[i]
	}
	archcalcDone(b, at+words*goarch.PtrSize)
}

// Brackets: what lies between them was done for it.

//go:nosplit
func archcalcOpen(what, a, b, c uintptr) {
	archcalcRecord('(', 4, what, a, b, c, 0, 0)
	if archcalcOn == 0 {
		return
	}
	if buf := archcalcBuf(); buf != nil {
		buf.depth++
	}
}

//go:nosplit
func archcalcClose(what, a, b, c uintptr) {
	if archcalcOn == 0 {
		return
	}
	if buf := archcalcBuf(); buf != nil {
		buf.depth--
	}
	archcalcRecord(')', 4, what, a, b, c, 0, 0)
}

// archcalcSpan tells of the pages that a span got: from the heap with its lock held, or from the P's page cache.
//
//go:nosplit
func archcalcSpan(s *mspan, base, npages, typ, class, scav, cached uintptr) {
	archcalcRecord('H', 5, npages, typ|class<<8|cached<<16, base, scav, uintptr(unsafe.Pointer(s)), 0)
}

//go:nosplit
func archcalcKind(typ spanAllocType) uintptr {
	switch typ {
	case spanAllocHeap:
		return 0
	case spanAllocStack:
		return 1
	case spanAllocWorkBuf:
		return 2
	}
	return 3
}

// What the system answered.

func archcalcSbrk0() uintptr {
	ret := sbrk0()
	archcalcRecord('B', 1, ret, 0, 0, 0, 0, 0)
	return ret
}

//go:nosplit
func archcalcMmap(addr unsafe.Pointer, n uintptr, prot, flags, fd int32, off uint32) (unsafe.Pointer, int) {
	p, err := mmap(addr, n, prot, flags, fd, off)
	ret := uintptr(p)
	if err != 0 {
		ret = uintptr(err)
	}
	archcalcRecord('M', 5, uintptr(addr), n, uintptr(prot), uintptr(flags), ret, 0)
	return p, err
}

//go:nosplit
func archcalcMunmap(addr unsafe.Pointer, n uintptr) {
	munmap(addr, n)
	archcalcRecord('O', 2, uintptr(addr), n, 0, 0, 0, 0)
}

//go:nosplit
func archcalcMadvise(addr unsafe.Pointer, n uintptr, advice int32) int32 {
	ret := madvise(addr, n, advice)
	archcalcRecord('A', 4, uintptr(addr), n, uintptr(advice), uintptr(uint32(ret)), 0, 0)
	return ret
}

// Allocations. `how`: 1 no pointers, 2 zeroed, 4 a new tiny block, 8 in the tiny block that is open, 16 large.

//go:nosplit
func archcalcMalloc(how, size uintptr, typ *_type, needzero bool, x unsafe.Pointer) {
	if needzero {
		how |= 2
	}
	t := uintptr(unsafe.Pointer(typ))
	if typ != nil && (t < firstmoduledata.types || t >= firstmoduledata.etypes) && archcalcOn != 0 {
		archcalcTypeMade(typ)
	}
	archcalcRecord('m', 4, how, size, t, uintptr(x), 0, 0)
}

// archcalcTypeMade tells of a type that the program does not hold in its file: reflect made it.
//
//go:nosplit
func archcalcTypeMade(typ *_type) {
	const most = 8 // words of the mask
	b, at := archcalcBegin('T', 6+most)
	if b == nil {
		return
	}
	w := (*[6 + most]uintptr)(unsafe.Pointer(at))
	w[0] = uintptr(unsafe.Pointer(typ))
	w[1], w[2] = typ.Size_, typ.PtrBytes
	w[3], w[4] = uintptr(typ.Kind_), uintptr(typ.Align_)
	w[5] = uintptr(typ.TFlag)
	mask := (*[8 * most]byte)(unsafe.Pointer(&w[6]))
	n := (typ.PtrBytes/goarch.PtrSize + 7) / 8
	for i := uintptr(0); i < goarch.PtrSize*most; i++ {
		mask[i] = 0
		if i < n && typ.GCData != nil && typ.PtrBytes <= 512 && !archcalcNoMask(typ) {
			mask[i] = *(*byte)(add(unsafe.Pointer(typ.GCData), i))
		}
	}
	archcalcDone(b, at+(6+most)*goarch.PtrSize)
}

// archcalcMarks tells the marks that a sweep finds, when its specials have been handled.
//
//go:nosplit
func archcalcMarks(s *mspan, nalloc, nfreed uintptr) {
	count := (uintptr(s.nelems) + 7) / 8
	words := 5 + (count+goarch.PtrSize-1)/goarch.PtrSize
	b, at := archcalcBegin('b', words)
	if b == nil {
		return
	}
	w := (*[5]uintptr)(unsafe.Pointer(at))
	w[0], w[1], w[2], w[3], w[4] = s.base(), uintptr(s.spanclass), nalloc, nfreed, count
	at += 5 * goarch.PtrSize
	for i := uintptr(0); i < (words-5)*goarch.PtrSize; i++ {
		bits := byte(0)
		if i < count {
			bits = *s.gcmarkBits.bytep(i)
		}
		*(*byte)(unsafe.Pointer(at + i)) = bits
	}
	archcalcDone(b, at+(words-5)*goarch.PtrSize)
}

// archcalcSet is a span set's class and which of its mcentral's four it is: partial 0 and 1, full 2 and 3.
//
//go:nosplit
func archcalcSet(b *spanSet) uintptr {
	at := uintptr(unsafe.Pointer(b)) - uintptr(unsafe.Pointer(&mheap_.central[0]))
	class := at / unsafe.Sizeof(mheap_.central[0])
	at -= class * unsafe.Sizeof(mheap_.central[0])
	which := uintptr(0)
	if at >= unsafe.Offsetof(mheap_.central[0].mcentral.full) {
		which = 2
		at -= unsafe.Offsetof(mheap_.central[0].mcentral.full)
	} else {
		at -= unsafe.Offsetof(mheap_.central[0].mcentral.partial)
	}
	return class | (which+at/unsafe.Sizeof(spanSet{}))<<8
}

//go:nosplit
func archcalcSpanBase(s *mspan) uintptr {
	if s == nil {
		return 0
	}
	return s.base()
}

// archcalcWide writes a record whose fields are 64 bits wide on every machine.
//
//go:nosplit
func archcalcWide(kind, words, a uintptr, b, c, d uint64) {
	const per = 8 / goarch.PtrSize
	buf, at := archcalcBegin(kind, 1+(words-1)*per)
	if buf == nil {
		return
	}
	*(*uintptr)(unsafe.Pointer(at)) = a
	at += goarch.PtrSize
	v := [3]uint64{b, c, d}
	for i := uintptr(0); i < words-1; i++ {
		if goarch.PtrSize == 8 {
			*(*uintptr)(unsafe.Pointer(at)) = uintptr(v[i])
		} else {
			*(*uint32)(unsafe.Pointer(at)) = uint32(v[i])
			*(*uint32)(unsafe.Pointer(at + 4)) = uint32(v[i] >> 32)
		}
		at += 8
	}
	archcalcDone(buf, at)
}

//go:nosplit
func archcalcStat(s *sysMemStat) uintptr {
	switch s {
	case &memstats.stacks_sys:
		return 1
	case &memstats.mspan_sys:
		return 2
	case &memstats.mcache_sys:
		return 3
	case &memstats.buckhash_sys:
		return 4
	case &memstats.gcMiscSys:
		return 5
	case &memstats.other_sys:
		return 6
	case &gcController.heapReleased:
		return 7
	}
	return 0
}

// archcalcPageMarks tells which spans have a mark at all, when marking is over: reclaiming goes by that.
func archcalcPageMarks() {
	for _, ai := range archcalcArenas() {
		ha := mheap_.arenas[ai.l1()][ai.l2()]
		archcalcBytesAt('K', arenaBase(ai), uintptr(unsafe.Pointer(&ha.pageMarks)), pagesPerArena/8)
	}
}

// The end.

// archcalcThrow tells a throw's words, on the system stack, before they are printed.
func archcalcThrow(what uintptr, s string) {
	archcalcText('!', what, s)
}

// archcalcPrints tells what the runtime prints. Once it is dying, that is its traceback, and no part of the run.
func archcalcPrints(b []byte) {
	if archcalcOn != 1 || len(b) == 0 {
		return
	}
	if gp := getg(); gp.writebuf == nil && gp.m.dying == 0 && gp.m.throwing == throwTypeNone {
		archcalcText('o', 0, *(*string)(unsafe.Pointer(&b)))
	}
}

// archcalcFinish writes out what all threads have, once. No record is made after it but the closer's.
//
//go:nosplit
func archcalcFinish() {
	if archcalcOn != 1 || !atomic.Cas(&archcalcOn, 1, 2) {
		archcalcAwait()
		return
	}
	archcalcCloser = int64(getg().m.id)
	archcalcWriteAll()
	atomic.Store(&archcalcWritten, 1)
}

// archcalcAwait lets a thread that is about to end the program wait for the one that writes the recording:
// a second signal would cut it. It waits for ten seconds at most.
//
//go:nosplit
func archcalcAwait() {
	for i := 0; i < 100000 && archcalcOn == 2 && int64(getg().m.id) != archcalcCloser; i++ {
		if atomic.Load(&archcalcWritten) != 0 {
			return
		}
		usleep(100)
	}
}

// archcalcGiveUp ends the recording of a program that goes on: a thread can have no buffer.
//
//go:nosplit
func archcalcGiveUp() {
	if archcalcOn != 1 || !atomic.Cas(&archcalcOn, 1, 3) {
		return
	}
	archcalcCloser = -1
	archcalcWriteAll()
	archcalcOn = 0
}

//go:nosplit
func archcalcWriteAll() {
	for i := uintptr(0); i <= uintptr(archcalcLast); i++ {
		p := *(*uintptr)(unsafe.Pointer(archcalcTable + i*goarch.PtrSize))
		if p == 0 {
			continue
		}
		b := (*archcalcBuffer)(unsafe.Pointer(p))
		for wait := 0; int64(i) != archcalcCloser && wait < 1000 && !atomic.Cas(&b.busy, 0, 2); wait++ {
			usleep(100)
		}
		archcalcFlush(b, int64(i))
		atomic.StoreRel(&b.busy, 0)
	}
}

// archcalcDie is the end of a program whose runtime died or that a signal ended.
//
//go:nosplit
func archcalcDie(signal uintptr) {
	if archcalcOn != 1 {
		archcalcAwait()
		return
	}
	archcalcRecord('!', 2, 100, signal, 0, 0, 0, 0)
	archcalcFinish()
}

// archcalcEnd is the end of a program that ends well: the world stops, and the whole machine is written down.
func archcalcEnd(code int) {
	if archcalcOn != 1 || getg().m.curg == nil || getg() == getg().m.g0 {
		archcalcFinish()
		return
	}
	archcalcStopTheWorld()
	systemstack(func() {
		archcalcStats()
		if atomic.Cas(&archcalcOn, 1, 2) {
			archcalcCloser = int64(getg().m.id)
			archcalcRecord('!', 2, 101, uintptr(code), 0, 0, 0, 0)
			archcalcState()
			archcalcWriteAll()
			atomic.Store(&archcalcWritten, 1)
		}
	})
}

func archcalcStats() {
	readmemstats_m((*MemStats)(unsafe.Pointer(archcalcAside)))
}

// archcalcMemStats tells what runtime.ReadMemStats found.
func archcalcMemStats(m *MemStats) {
	archcalcStatsRow(0, m.Alloc, m.TotalAlloc, m.Sys)
	archcalcStatsRow(3, m.Mallocs, m.Frees, m.HeapAlloc)
	archcalcStatsRow(6, m.HeapSys, m.HeapIdle, m.HeapInuse)
	archcalcStatsRow(9, m.HeapReleased, m.HeapObjects, m.StackInuse)
	archcalcStatsRow(12, m.StackSys, m.MSpanInuse, m.MSpanSys)
	archcalcStatsRow(15, m.MCacheInuse, m.MCacheSys, m.BuckHashSys)
	archcalcStatsRow(18, m.GCSys, m.OtherSys, m.NextGC)
	archcalcStatsRow(21, uint64(m.NumGC), uint64(m.NumForcedGC), m.PauseTotalNs)
}

func archcalcStatsRow(first uintptr, a, b, c uint64) { archcalcWide('=', 4, first, a, b, c) }

// archcalcBytesAt writes memory down as it is: a key, a count of bytes, the bytes; in pieces where they are many.
func archcalcBytesAt(kind, key, from, count uintptr) {
	const most = 1024
	for done := uintptr(0); ; done += most {
		n := count - done
		if n > most {
			n = most
		}
		words := 4 + (n+goarch.PtrSize-1)/goarch.PtrSize
		b, at := archcalcBegin(kind, words)
		if b == nil {
			return
		}
		w := (*[4]uintptr)(unsafe.Pointer(at))
		w[0], w[1], w[2], w[3] = key, count, done, n
		for i := uintptr(0); i < n; i++ {
			*(*byte)(unsafe.Pointer(at + 4*goarch.PtrSize + i)) = *(*byte)(unsafe.Pointer(from + done + i))
		}
		archcalcDone(b, at+words*goarch.PtrSize)
		if done+n >= count {
			return
		}
	}
}

// archcalcState writes down the whole machine. The world is stopped.
func archcalcState() {
	h := &mheap_
	archcalcWide('z', 2, 1, uint64(h.sweepgen), 0, 0)
	archcalcWide('z', 2, 2, uint64(h.pagesInUse.Load()), 0, 0)
	archcalcWide('z', 2, 3, gcController.heapLive.Load(), 0, 0)
	archcalcWide('z', 2, 4, uint64(h.curArena.base), 0, 0)
	archcalcWide('z', 2, 5, uint64(h.curArena.end), 0, 0)
	archcalcWide('z', 2, 6, uint64(h.pages.searchAddr.addr()), 0, 0)
	archcalcWide('z', 2, 7, uint64(h.pages.start), 0, 0)
	archcalcWide('z', 2, 8, uint64(h.pages.end), 0, 0)
	archcalcWide('z', 2, 9, uint64(gcController.mappedReady.Load()), 0, 0)
	for _, ai := range archcalcArenas() {
		ha := h.arenas[ai.l1()][ai.l2()]
		archcalcRecord('a', 3, arenaBase(ai), uintptr(unsafe.Pointer(ha)), ha.zeroedBase, 0, 0, 0)
	}
	for hint := h.arenaHints; hint != nil; hint = hint.next {
		down := uintptr(0)
		if hint.down {
			down = 1
		}
		archcalcRecord('h', 3, hint.addr, down, uintptr(unsafe.Pointer(hint)), 0, 0, 0)
	}
	for _, r := range h.pages.inUse.ranges {
		for ci := chunkIndex(r.base.addr()); ci < chunkIndex(r.limit.addr()-1)+1; ci++ {
			chunk := h.pages.chunkOf(ci)
			archcalcBytesAt('c', chunkBase(ci), uintptr(unsafe.Pointer(&chunk.pallocBits)), pallocChunkPages/8)
			archcalcBytesAt('d', chunkBase(ci), uintptr(unsafe.Pointer(&chunk.scavenged)), pallocChunkPages/8)
		}
	}
	for _, s := range h.allspans {
		b, at := archcalcBegin('j', 13)
		if b == nil {
			return
		}
		w := (*[13]uintptr)(unsafe.Pointer(at))
		w[0], w[1], w[2], w[3] = s.base(), s.npages, uintptr(s.state.get()), uintptr(s.spanclass)
		w[4], w[5], w[6], w[7] = uintptr(s.nelems), uintptr(s.allocCount), uintptr(s.freeindex), uintptr(s.needzero)
		w[8], w[9], w[10], w[11] = uintptr(s.sweepgen), s.elemsize, s.limit, uintptr(unsafe.Pointer(s))
		w[12] = 0
		if !s.isUserArenaChunk { // whose type is made up, and lies in it
			w[12] = uintptr(unsafe.Pointer(s.largeType))
			if s.largeType != nil && s.spanclass.sizeclass() == 0 && archcalcUnrolled(s.largeType) {
				w[12]++ // no type's address is odd
			}
		}
		archcalcDone(b, at+13*goarch.PtrSize)
	}
	for _, s := range h.allspans {
		if s.state.get() != mSpanInUse {
			continue
		}
		archcalcBytesAt('k', s.base(), uintptr(unsafe.Pointer(s.allocBits)), (uintptr(s.nelems)+7)/8)
		if s.spanclass.noscan() || s.spanclass.sizeclass() == 0 {
			continue
		}
		if heapBitsInSpan(s.elemsize) {
			bits := s.heapBits()
			archcalcBytesAt('i', s.base(), uintptr(unsafe.Pointer(&bits[0])), uintptr(len(bits))*goarch.PtrSize)
			continue
		}
		for i := uintptr(0); i < uintptr(s.nelems); i++ {
			if i < uintptr(s.freeindex) || *s.allocBits.bytep(i / 8)>>(i%8)&1 != 0 {
				x := s.base() + i*s.elemsize
				archcalcRecord('t', 2, x, *(*uintptr)(unsafe.Pointer(x)), 0, 0, 0, 0)
			}
		}
	}
}
