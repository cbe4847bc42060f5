// interop-go calls interop-server with other people's clients, and prints a line a case.
//
//	interop-go [-certificate FILE] clients ADDRESS             every client, every case
//	interop-go front NAME PROTOCOL HTTP ADDRESS DIRECT PID     one client through a front; DIRECT and PID are the server's
//	interop-go load NAME PROTOCOL HTTP ADDRESS SECONDS         many calls; how many failed
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return v
}

// A client by protocol (grpc is grpc-go, the others are connect-go's) and version of HTTP.
func pick(protocol, version, address, certificate string) client {
	if protocol == "grpc" {
		return must(newGRPC(address, certificate, false))
	}
	return must(newConnect(protocol, must(strconv.Atoi(version)), address, certificate, false, false, false))
}

func report(group, name string, took time.Duration, err error) bool {
	if err != nil {
		fmt.Printf("FAILED\t%s\t%s\t%v\n", group, name, err)
		return false
	}
	fmt.Printf("ok\t%s\t%s\t%d ms\n", group, name, took.Milliseconds())
	return true
}

// nginx closes a connection whose request was answered before all of its body had come, over HTTP/1.1 without having said so, and
// the next call may meet that (its clients' retries are for it): calls are made until one is answered.
func settle(c client) {
	for try := 0; try < 3; try++ {
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		err := unaryCall(ctx, c, nil)
		stop()
		if err == nil {
			return
		}
	}
}

// All cases but those that the client cannot do.
func runCases(group string, c, direct client, cases []testCase) bool {
	good := true
	for _, t := range cases {
		if !c.Duplex() && strings.HasPrefix(t.name, "bidi") {
			continue
		}
		var err error
		from := time.Now()
		// What has to be seen within 100 ms may be late on a busy machine, but not five times. Over HTTP/1.1 an upload that is
		// answered early may fail in Go's client, which finds its connection closed before it has read the answer.
		again := strings.HasPrefix(t.name, "cancel") || (!c.Duplex() && strings.HasPrefix(t.name, "early"))
		for try := 0; try == 0 || (err != nil && again && try < 5); try++ {
			if !c.Duplex() && strings.HasPrefix(group, "nginx") {
				settle(c)
			}
			ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
			err = t.run(ctx, c, direct)
			stop()
		}
		good = report(group, t.name, time.Since(from), err) && good
	}
	return good
}

func everyClient(address, certificate string) bool {
	clients := []client{must(newGRPC(address, certificate, false)), must(newGRPC(address, certificate, true))}
	for _, version := range []int{1, 2} {
		for _, protocol := range []string{"connect", "grpc", "grpcweb"} {
			if version == 1 && protocol == "grpc" {
				continue // needs HTTP/2
			}
			clients = append(clients, must(newConnect(protocol, version, address, certificate, false, false, protocol == "connect")))
		}
	}
	clients = append(clients, must(newConnect("connect", 2, address, certificate, true, false, true)),
		must(newConnect("connect", 1, address, certificate, false, true, true)))
	good := true
	for _, c := range clients {
		good = runCases(c.Name(), c, clients[0], everyCase) && good
	}
	return good
}

func main() {
	certificate := flag.String("certificate", "", "of the server, PEM: TLS")
	flag.Parse()
	a := flag.Args()
	good := false
	switch {
	case len(a) == 2 && a[0] == "clients":
		good = everyClient(a[1], *certificate)
	case len(a) == 7 && a[0] == "front":
		c, direct := pick(a[2], a[3], a[4], *certificate), must(newGRPC(a[5], "", false))
		good = runCases(a[1], c, direct, append(everyCase, testCase{"slow reader", slowReader(must(strconv.Atoi(a[6])))}))
	case len(a) == 6 && a[0] == "load":
		good = load(a[1], pick(a[2], a[3], a[4], *certificate), time.Duration(must(strconv.ParseFloat(a[5], 64))*float64(time.Second)))
	default:
		flag.Usage()
		os.Exit(2)
	}
	if !good {
		os.Exit(1)
	}
}
