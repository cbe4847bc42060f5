// Package answer is what both Go peers do with a request: the same as every other peer.
package answer

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"

	"bench/benchv1"
)

func Echo(in *benchv1.EchoRequest) *benchv1.EchoReply {
	return &benchv1.EchoReply{Text: in.Text, Number: in.Number, Payload: in.Payload}
}

// What would else be read for nothing.
var sink atomic.Int64

// Ingest reads every field.
func Ingest(in *benchv1.LogBatch) *benchv1.LogSummary {
	length, numbers := 0, int64(0)
	highest := benchv1.Severity_SEVERITY_UNSPECIFIED
	for _, r := range in.Records {
		length += len(r.Service) + len(r.Instance) + len(r.Text) + len(r.TraceId) + len(r.SpanId)
		for key, value := range r.Labels {
			length += len(key) + len(value)
		}
		if s := r.Source; s != nil {
			length += len(s.File) + len(s.Function)
			numbers += int64(s.Line)
		}
		numbers += r.TimestampNs
		highest = max(highest, r.Severity)
	}
	sink.Store(numbers)
	return &benchv1.LogSummary{Count: int32(len(in.Records)), Length: int64(length), Highest: highest}
}

// Listen says where it listens.
func Listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("listening", l.Addr())
	return l
}
