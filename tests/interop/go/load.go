package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zcrpc/interop/interopv1"
)

// The most memory that a process has had, in bytes.
func peakMemory(pid int) (bytes int64) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, line := range strings.Split(string(status), "\n") {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &bytes); n == 1 {
			return bytes << 10
		}
	}
	return 0
}

// 10 MiB to a reader that lets them wait; the server must not hold them.
func slowReader(pid int) func(context.Context, client, client) error {
	return func(ctx context.Context, c, _ client) error {
		const count, size = 160, 64 << 10
		before := peakMemory(pid)
		s, err := begin(ctx, c, &interopv1.Request{Text: text("slow"), Count: count, Size: size}, nil)
		if err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond) // as much as it would send unasked
		for i := range count {
			reply, err := s.Receive()
			if err != nil || len(reply.Payload) != size {
				return wrong("message %d: %v", i, err)
			}
			if i%4 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		if _, err := drain(s); err != nil {
			return err
		}
		if grown := peakMemory(pid) - before; pid != 0 && grown > 4<<20 {
			return wrong("the server took %d KiB for it", grown>>10)
		}
		return nil
	}
}

// Calls that are made at least, however slow the machine is.
const enough = 200

// Workers that call, one call after another, until the time is over. Prints how many calls were made, and what failed.
func load(group string, c client, time_ time.Duration) bool {
	var calls, failed atomic.Int64
	var why sync.Map
	var workers sync.WaitGroup
	end := time.Now().Add(time_)
	latest := end.Add(20 * time.Second)
	note := func(kind string, err error) {
		calls.Add(1)
		if err != nil {
			failed.Add(1)
			why.Store(kind+": "+err.Error(), true)
		}
	}
	for i := range 16 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for now := time.Now(); now.Before(end) || (calls.Load() < enough && now.Before(latest)); now = time.Now() {
				ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
				_, _, err := c.Unary(ctx, "Unary", &interopv1.Request{Text: "load", Size: 100}, &interopv1.Reply{}, nil)
				note("unary", err)
				if i%4 == 0 {
					s, err := begin(ctx, c, &interopv1.Request{Text: "load", Count: 5, Size: 1000}, nil)
					if err == nil {
						_, err = drain(s)
					}
					note("server stream", err)
				}
				if i%4 == 1 {
					note("client stream", uploadAll(ctx, c, nil))
				}
				stop()
				time.Sleep(time.Millisecond)
			}
		}()
	}
	workers.Wait()
	fmt.Printf("load\t%s\t%s\t%d\t%d\n", group, c.Name(), calls.Load(), failed.Load())
	why.Range(func(text, _ any) bool {
		fmt.Printf("FAILED\t%s\tload\t%v\n", group, text)
		return true
	})
	return failed.Load() == 0
}
