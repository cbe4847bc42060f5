// The peer grpc-go, with the service description that its generator would write.
package main

import (
	"context"
	"log"

	"bench/answer"

	"google.golang.org/grpc"
)

// unary is a generated handler: it decodes, and would call an interceptor if there were one.
func unary[In, Out any](name string, fn func(*In) *Out) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name,
		Handler: func(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
			in := new(In)
			if err := decode(in); err != nil {
				return nil, err
			}
			return fn(in), nil
		}}
}

func main() {
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.v1.Echo",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{unary("Echo", answer.Echo), unary("Ingest", answer.Ingest)},
	}, struct{}{})
	log.Fatal(server.Serve(answer.Listen()))
}
