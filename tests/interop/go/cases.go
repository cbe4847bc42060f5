// The calls that every client makes, with every kind of stream.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"connectrpc.com/connect"

	"zcrpc/interop/interopv1"
)

const (
	deadlineExceeded = int(connect.CodeDeadlineExceeded)
	resourceExceeded = int(connect.CodeResourceExhausted)
	unimplemented    = int(connect.CodeUnimplemented)
	refusal          = int(connect.CodeFailedPrecondition)
	canceled         = int(connect.CodeCanceled)
)

type testCase struct {
	name string
	// What is wrong, or nil. direct reaches the server without anything in between.
	run func(ctx context.Context, c, direct client) error
}

var textsMade int

// A text that no other stream has.
func text(what string) string {
	textsMade++
	return fmt.Sprintf("%s-%d-%d", what, time.Now().UnixNano(), textsMade)
}

func wrong(format string, arguments ...any) error { return fmt.Errorf(format, arguments...) }

func refused(c client, err error, text string) error {
	if err == nil {
		return wrong("no error")
	}
	if f := c.Failure(err); f.code != refusal || f.text != text || f.reason != "ASKED_FOR" {
		return wrong("not the error that was asked for, but %+v", f)
	}
	return nil
}

func unaryCall(ctx context.Context, c, _ client) error {
	for _, method := range []string{"Unary", "Get"} {
		reply := &interopv1.Reply{}
		headers, trailers, err := c.Unary(ctx, method, &interopv1.Request{Text: "hällo"}, reply, metadata{"x-interop": "a b", "x-interop-bin": "\x00\xff"})
		if err != nil {
			return err
		}
		if reply.Text != "hällo" || reply.Number != 1 || headers["x-interop"] != "a b" || trailers["x-interop-bin"] != "\x00\xff" {
			return wrong("%s: %v, %v, %v", method, reply, headers, trailers)
		}
	}
	return nil
}

func largeUnary(ctx context.Context, c, _ client) error {
	for _, size := range []int{1 << 10, 100 << 10, 1 << 20, 4<<20 - 1000} {
		request := &interopv1.Request{Text: strings.Repeat("x", size)}
		reply := &interopv1.Reply{}
		if _, _, err := c.Unary(ctx, "Unary", request, reply, nil); err != nil {
			return wrong("%d bytes up: %w", size, err)
		}
		if reply.Text != request.Text {
			return wrong("%d bytes came back as %d", size, len(reply.Text))
		}
		if _, _, err := c.Unary(ctx, "Unary", &interopv1.Request{Size: int32(size)}, reply, nil); err != nil {
			return wrong("%d bytes down: %w", size, err)
		}
	}
	return nil
}

func unaryError(ctx context.Context, c, _ client) error {
	_, _, err := c.Unary(ctx, "Unary", &interopv1.Request{Text: "as asked, 100 %", Code: int32(refusal)}, &interopv1.Reply{}, nil)
	return refused(c, err, "as asked, 100 %")
}

func tooLarge(ctx context.Context, c, _ client) error {
	_, _, err := c.Unary(ctx, "Unary", &interopv1.Request{Text: strings.Repeat("x", 4<<20+1)}, &interopv1.Reply{}, nil)
	if err == nil || c.Failure(err).code != resourceExceeded {
		return wrong("over the limit: %v", err)
	}
	return nil
}

func noMethod(ctx context.Context, c, _ client) error {
	_, _, err := c.Unary(ctx, "Nothing", &interopv1.Request{}, &interopv1.Reply{}, nil)
	if err == nil || c.Failure(err).code != unimplemented {
		return wrong("%v", err)
	}
	return nil
}

// A download after its one request.
func begin(ctx context.Context, c client, request *interopv1.Request, out metadata) (stream, error) {
	s, err := c.Open(ctx, "Download", out)
	if err == nil {
		err = s.Send(request)
	}
	if err == nil {
		err = s.CloseSend()
	}
	return s, err
}

func downloadAll(ctx context.Context, c, _ client) error {
	for _, count := range []int{0, 1, 50} {
		s, err := begin(ctx, c, &interopv1.Request{Text: text("download"), Count: int32(count), Size: 5000}, metadata{"x-interop-bin": "tail"})
		if err != nil {
			return err
		}
		got, err := drain(s)
		if err != nil || got != count || s.Trailer("x-interop-bin") != "tail" {
			return wrong("%d of %d messages, %v, trailer %q", got, count, err, s.Trailer("x-interop-bin"))
		}
	}
	return nil
}

func downloadError(count int) func(context.Context, client, client) error {
	return func(ctx context.Context, c, _ client) error {
		why := text("ends badly")
		s, err := begin(ctx, c, &interopv1.Request{Text: why, Count: int32(count), Code: int32(refusal)}, nil)
		if err != nil {
			return err
		}
		got, err := drain(s)
		if got != count {
			return wrong("%d of %d messages before the error, %v", got, count, err)
		}
		return refused(c, err, why)
	}
}

func uploadAll(ctx context.Context, c, _ client) error {
	s, err := c.Open(ctx, "Upload", nil)
	for i := 0; i < 50 && err == nil; i++ {
		err = s.Send(&interopv1.Request{Text: "up", Size: 10})
	}
	if err == nil {
		err = s.CloseSend()
	}
	if err != nil {
		return err
	}
	reply, err := s.Receive()
	if err != nil || reply.Number != 50 {
		return wrong("%v, %v", reply, err)
	}
	_, err = drain(s)
	return err
}

// The server answers while the client still sends. What it said has to arrive.
func earlyEnd(code int) func(context.Context, client, client) error {
	return func(ctx context.Context, c, _ client) error {
		why := text("early")
		s, err := c.Open(ctx, "Upload", nil)
		if err != nil {
			return err
		}
		for i := 0; i < 100; i++ {
			if err = s.Send(&interopv1.Request{Text: why, After: 3, Code: int32(code)}); err != nil {
				break // the answer is there: sending ends
			}
			if i > 3 {
				time.Sleep(2 * time.Millisecond)
			}
		}
		s.CloseSend()
		reply, err := s.Receive()
		if code != 0 {
			return refused(c, err, why)
		}
		if err != nil || reply.Number != 3 {
			return wrong("%v, %v", reply, err)
		}
		return nil
	}
}

func pingPong(ctx context.Context, c, _ client) error {
	s, err := c.Open(ctx, "Chat", nil)
	if err != nil {
		return err
	}
	name := text("chat")
	for i := 1; i <= 50; i++ {
		if err := s.Send(&interopv1.Request{Text: name, Size: int32(i * 100)}); err != nil {
			return err
		}
		reply, err := s.Receive()
		if err != nil || reply.Text != name || reply.Number != int32(i) {
			return wrong("turn %d: %v, %v", i, reply, err)
		}
	}
	s.CloseSend()
	if got, err := drain(s); err != nil || got != 0 {
		return wrong("%d messages behind the last, %v", got, err)
	}
	return nil
}

// A chat that the server ends: well, or not.
func chatEnds(code int) func(context.Context, client, client) error {
	return func(ctx context.Context, c, _ client) error {
		s, err := c.Open(ctx, "Chat", nil)
		if err != nil {
			return err
		}
		name := text("chat ends")
		for i := 1; i <= 2; i++ {
			if err := s.Send(&interopv1.Request{Text: name, After: 2, Code: int32(code)}); err != nil {
				return err
			}
			if _, err := s.Receive(); err != nil {
				return wrong("message %d: %w", i, err)
			}
		}
		_, err = s.Receive()
		if code != 0 {
			return refused(c, err, name)
		}
		if err != io.EOF {
			return wrong("not a good end: %v", err)
		}
		return nil
	}
}

// As often as a machine with nothing else to do asks in the time that an end may take to be seen. A busy one is slower at both.
const asked = 30

// Waits until the stream of that text has ended at the server; ended: its code.
func ended(ctx context.Context, direct client, text string, within time.Duration) (after time.Duration, code int, err error) {
	from := time.Now()
	for times := 1; ; times++ {
		reply := &interopv1.SeenReply{}
		if _, _, err := direct.Unary(ctx, "Seen", &interopv1.SeenRequest{Text: text}, reply, nil); err != nil {
			return 0, 0, err
		}
		after = time.Since(from)
		if reply.Done {
			return after, int(reply.Code), nil
		}
		if after > within && times >= asked {
			return after, 0, wrong("the handler has not seen the end after %v, asked %d times (begun: %v)", after, times, reply.Begun)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func deadline(ctx context.Context, c, direct client) error {
	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	if _, _, err := c.Unary(short, "Unary", &interopv1.Request{Hold: true}, &interopv1.Reply{}, nil); err == nil || c.Failure(err).code != deadlineExceeded {
		return wrong("unary: %v", err)
	}
	short, stop = context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	name := text("deadline")
	s, err := begin(short, c, &interopv1.Request{Text: name, Hold: true}, nil)
	if err != nil {
		return err
	}
	if got, err := drain(s); err == nil || got != 1 || c.Failure(err).code != deadlineExceeded {
		return wrong("stream: %d messages, %v", got, err)
	}
	_, code, err := ended(ctx, direct, name, 500*time.Millisecond)
	if err == nil && code != deadlineExceeded && code != canceled {
		err = wrong("the handler saw code %d", code)
	}
	return err
}

// Goes away in the middle of a call; the handler has to see it within 100 ms.
func cancel(ctx context.Context, c, direct client) error {
	ours, stop := context.WithCancel(ctx)
	defer stop()
	name := text("cancel")
	s, err := begin(ours, c, &interopv1.Request{Text: name, Hold: true}, nil)
	if err != nil {
		return err
	}
	if _, err := s.Receive(); err != nil {
		return err
	}
	stop()
	if _, err := drain(s); err == nil || c.Failure(err).code != canceled {
		return wrong("the client says %v", err)
	}
	_, code, err := ended(ctx, direct, name, 100*time.Millisecond)
	if err == nil && code != canceled {
		err = wrong("the handler saw code %d", code)
	}
	return err
}

func cancelUpload(ctx context.Context, c, direct client) error {
	ours, stop := context.WithCancel(ctx)
	defer stop()
	name := text("cancel upload")
	s, err := c.Open(ours, "Upload", nil)
	if err == nil {
		err = s.Send(&interopv1.Request{Text: name, Hold: true})
	}
	if err != nil {
		return err
	}
	for from := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		reply := &interopv1.SeenReply{}
		if _, _, err := direct.Unary(ctx, "Seen", &interopv1.SeenRequest{Text: name}, reply, nil); err != nil {
			return err
		}
		if reply.Begun {
			break
		}
		if time.Since(from) > 2*time.Second {
			return wrong("the first message has not arrived")
		}
	}
	stop()
	_, code, err := ended(ctx, direct, name, 100*time.Millisecond)
	s.Receive() // not before, since it ends the request first: well, if the transport has not yet seen the cancel
	if err == nil && code != canceled {
		err = wrong("the handler saw code %d", code)
	}
	return err
}

// Many at once, of every kind, each with its own answer.
func manyAtOnce(ctx context.Context, c, _ client) error {
	const workers = 40
	results := make(chan error, workers)
	for i := range workers {
		go func() {
			want := bytes.Repeat([]byte{'f'}, 100*i)
			reply := &interopv1.Reply{}
			_, _, err := c.Unary(ctx, "Unary", &interopv1.Request{Text: fmt.Sprint(i), Size: int32(100 * i)}, reply, nil)
			if err == nil && (reply.Text != fmt.Sprint(i) || !bytes.Equal(reply.Payload, want)) {
				err = wrong("call %d got another's answer", i)
			}
			if err == nil {
				err = uploadAll(ctx, c, nil)
			}
			results <- err
		}()
	}
	var bad error
	for range workers {
		if err := <-results; err != nil {
			bad = err
		}
	}
	return bad
}

var everyCase = []testCase{
	{"unary", unaryCall},
	{"large messages", largeUnary},
	{"error with details", unaryError},
	{"message over the limit", tooLarge},
	{"unknown method", noMethod},
	{"server stream", downloadAll},
	{"trailers only", downloadError(0)},
	{"error behind messages", downloadError(3)},
	{"client stream", uploadAll},
	{"early end", earlyEnd(0)},
	{"early error", earlyEnd(refusal)},
	{"bidi ping-pong", pingPong},
	{"bidi, ended by the server", chatEnds(0)},
	{"bidi, error by the server", chatEnds(refusal)},
	{"deadline", deadline},
	{"cancel", cancel},
	{"cancel of an upload", cancelUpload},
	{"many at once", manyAtOnce},
}
