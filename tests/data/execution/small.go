package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/trace"
	"sync"
)

type node struct {
	l, r *node
	v    [3]int
}

func tree(d int) *node {
	if d == 0 {
		return nil
	}
	return &node{l: tree(d - 1), r: tree(d - 1)}
}

var keep [2][][]byte
var nodes [2][]*node

func deep(n int) int {
	var b [512]byte
	b[n%512] = byte(n)
	if n == 0 {
		return int(b[0])
	}
	return deep(n-1) + int(b[n%512])
}

func main() {
	f, _ := os.Create(os.Args[1])
	if err := trace.Start(f); err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for g := 0; g < 2; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			x := uint32(g*7919 + 1)
			for i := 0; i < 300; i++ {
				x = x*1664525 + 1013904223
				n := int(x>>16) % 3000
				b := make([]byte, n)
				if i%7 == 0 {
					t := tree(4)
					nodes[g] = append(nodes[g], t)
					keep[g] = append(keep[g], b)
					if len(keep[g]) > 20 {
						keep[g] = keep[g][10:]
						nodes[g] = nodes[g][4:]
					}
				}
				if i%100 == 50 {
					_ = fmt.Sprint(i, n, make([]byte, 100000+n*100)[:1])
					done := make(chan int)
					go func() { done <- deep(n / 10) }()
					<-done
				}
				if i == 149+50*g {
					runtime.GC()
				}
			}
		}(g)
	}
	wg.Wait()
	trace.Stop()
	f.Close()
}
