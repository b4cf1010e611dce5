// Times the runtime's own allocator: what tests/bench compares the simulated ones with.
//
//	objects N    prints a line "name nanoseconds nanoseconds" for each row, an object: on the clock, and of
//	             all processors
//
// The rows are those of the benchmarks: sizes at random to 1 KB, one size, words that are a pointer, types
// with pointers, and a collection of a million objects that are reached through each other. The collector is
// off but for the last.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

// The types of archcalc.workloads.driver.types_for that are not larger than 1 KB.
type (
	str struct {
		p *byte
		n int
	}
	slice struct {
		p    *byte
		n, c int
	}
	iface struct{ t, d *byte }
	node  struct {
		l, r, v *byte
		k       int
	}
	record struct {
		a, b    int
		p       *byte
		c       int
		q       *byte
		d, e, f int
	}
	header struct {
		p    *byte
		rest [20]int
	}
	part struct {
		p       *byte
		a       int
		q, r    *byte
		b, c    int
		s       *byte
		d       int
		t, u, v *byte
	}
	mixed [3]part
)

var (
	bytes  []byte
	sink   unsafe.Pointer
	pick   uint64 = 88172645463325252
	makers        = []func(){
		func() { sink = unsafe.Pointer(new(*byte)) },
		func() { sink = unsafe.Pointer(new(str)) },
		func() { sink = unsafe.Pointer(new(slice)) },
		func() { sink = unsafe.Pointer(new(iface)) },
		func() { sink = unsafe.Pointer(new(node)) },
		func() { sink = unsafe.Pointer(new(record)) },
		func() { sink = unsafe.Pointer(new(header)) },
		func() { sink = unsafe.Pointer(new(mixed)) },
	}
)

func random() uint64 {
	pick ^= pick << 13
	pick ^= pick >> 7
	pick ^= pick << 17
	return pick
}

// processor is what the process has had of all processors so far, in nanoseconds.
func processor() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return syscall.TimevalToNsec(usage.Utime) + syscall.TimevalToNsec(usage.Stime)
}

// timed runs do, which makes n objects, in a heap that is empty, and prints what each took.
func timed(name string, n int, do func()) {
	bytes, sink = nil, nil
	runtime.GC()
	start, used := time.Now(), processor()
	do()
	clock, used := time.Since(start), processor()-used
	fmt.Printf("%s %.2f %.2f\n", name, float64(clock.Nanoseconds())/float64(n), float64(used)/float64(n))
}

type link struct {
	left, right *link
	rest        [2]int
}

// heap makes n objects, of which every other one is reached from the first: a tree by numbers, as a heap is.
func heap(n int) *link {
	all := make([]*link, n)
	for i := range all {
		all[i] = new(link)
	}
	for i := 0; 2*i+2 < n/2; i++ {
		all[2*i].left, all[2*i].right = all[2*(2*i+1)], all[2*(2*i+2)]
	}
	return all[0]
}

func main() {
	n := 10_000_000
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	debug.SetGCPercent(-1)
	sizes := make([]uint16, n)
	for i := range sizes {
		k := random() % 10
		sizes[i] = uint16(1<<k + random()&(1<<k-1))
	}
	timed("mixed", n, func() {
		for _, size := range sizes {
			bytes = make([]byte, size)
		}
	})
	timed("small", n, func() {
		for range sizes {
			bytes = make([]byte, 32)
		}
	})
	timed("words", n, func() {
		for range sizes {
			sink = unsafe.Pointer(new(*byte))
		}
	})
	for i := range sizes {
		sizes[i] = uint16(random() % uint64(len(makers)))
	}
	timed("typed", n, func() {
		for _, k := range sizes {
			makers[k]()
		}
	})
	sizes, bytes, sink = nil, nil, nil
	const objects = 1_000_000
	root := heap(objects)
	timed("collect", objects, func() { runtime.GC() })
	runtime.KeepAlive(root)
}
