// What the cases need of a client, whichever library it is of.
package main

import (
	"context"
	"io"

	"google.golang.org/protobuf/proto"

	"zcrpc/interop/interopv1"
)

const service = "/interop.v1.Interop/"

// Metadata that a call sends, or brings back: name to its first value.
type metadata map[string]string

// A stream, of any kind. Receive gives io.EOF at a good end.
type stream interface {
	Send(*interopv1.Request) error
	CloseSend() error
	Receive() (*interopv1.Reply, error)
	Trailer(name string) string // after the end
}

// An error as it came: the code's number, the text, and the reason of its ErrorInfo.
type failure struct {
	code   int
	text   string
	reason string
}

type client interface {
	Name() string
	// Bidirectional streams run in both directions at once.
	Duplex() bool
	Unary(ctx context.Context, method string, request, reply proto.Message, out metadata) (headers, trailers metadata, err error)
	Open(ctx context.Context, method string, out metadata) (stream, error)
	Failure(err error) failure
}

// The rest of a stream, and how it ended (nil: well).
func drain(s stream) (count int, err error) {
	for {
		_, err := s.Receive()
		if err == io.EOF {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		count++
	}
}
