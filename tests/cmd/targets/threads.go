// SPDX-License-Identifier: MIT
//
// A Go program to attach to; see threads.cpp. With cgo.go beside it, it is one with cgo.
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
)

func work(seed uint32, working chan<- bool) {
	round := func() (sum uint64) {
		state := seed
		counts := map[string]uint64{}
		numbers := []int{}
		for i := 0; i < 2000; i++ {
			state = state*1664525 + 1013904223
			numbers = append(numbers, int(state))
			counts[fmt.Sprint(state%97)]++
		}
		sort.Ints(numbers)
		for text, count := range counts {
			sum += uint64(len(text)) * count * count
		}
		return sum + uint64(numbers[1000])
	}
	expected := round()
	working <- true
	for round() == expected {
	}
	fmt.Fprintln(os.Stderr, "WRONG: a result")
	os.Exit(1)
}

func main() {
	working := make(chan bool)
	for seed := uint32(1); seed <= 4; seed++ {
		go work(seed, working)
	}
	for i := 0; i < 4; i++ {
		<-working
	}
	os.WriteFile(os.Args[len(os.Args)-1], nil, 0600)
	io.ReadAll(os.Stdin)
}
