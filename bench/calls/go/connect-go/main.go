// The peer connect-go: net/http with HTTP/1.1 and HTTP/2 in clear text on one port, as its documentation shows.
package main

import (
	"context"
	"log"
	"net/http"

	"bench/answer"
	"bench/benchv1"

	"connectrpc.com/connect"
)

func main() {
	mux := http.NewServeMux()
	mux.Handle("/bench.v1.Echo/Echo", connect.NewUnaryHandler("/bench.v1.Echo/Echo",
		func(_ context.Context, r *connect.Request[benchv1.EchoRequest]) (*connect.Response[benchv1.EchoReply], error) {
			return connect.NewResponse(answer.Echo(r.Msg)), nil
		}))
	mux.Handle("/bench.v1.Echo/Ingest", connect.NewUnaryHandler("/bench.v1.Echo/Ingest",
		func(_ context.Context, r *connect.Request[benchv1.LogBatch]) (*connect.Response[benchv1.LogSummary], error) {
			return connect.NewResponse(answer.Ingest(r.Msg)), nil
		}))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: mux, Protocols: protocols}
	log.Fatal(server.Serve(answer.Listen()))
}
