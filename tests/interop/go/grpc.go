// grpc-go as a client.
package main

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"zcrpc/interop/interopv1"
)

type grpcClient struct {
	connection *grpc.ClientConn
	options    []grpc.CallOption
	name       string
}

func newGRPC(address, certificate string, compressed bool) (client, error) {
	transport := insecure.NewCredentials()
	if certificate != "" {
		var err error
		if transport, err = credentials.NewClientTLSFromFile(certificate, ""); err != nil {
			return nil, err
		}
	}
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
	c := &grpcClient{connection: connection, name: "grpc-go"}
	if compressed {
		c.options = append(c.options, grpc.UseCompressor(gzip.Name))
		c.name += " gzip"
	}
	return c, err
}

func (c *grpcClient) Name() string { return c.name }
func (c *grpcClient) Duplex() bool { return true }

func first(md grpcmetadata.MD) metadata {
	out := metadata{}
	for name, values := range md {
		out[name] = values[0]
	}
	return out
}

func (c *grpcClient) Unary(ctx context.Context, method string, request, reply proto.Message, out metadata) (metadata, metadata, error) {
	var headers, trailers grpcmetadata.MD
	err := c.connection.Invoke(grpcmetadata.NewOutgoingContext(ctx, grpcmetadata.New(out)), service+method, request, reply,
		append(c.options, grpc.Header(&headers), grpc.Trailer(&trailers))...)
	return first(headers), first(trailers), err
}

type grpcStream struct{ grpc.ClientStream }

func (s grpcStream) Send(r *interopv1.Request) error { return s.SendMsg(r) }
func (s grpcStream) Receive() (*interopv1.Reply, error) {
	reply := &interopv1.Reply{}
	return reply, s.RecvMsg(reply)
}
func (s grpcStream) Trailer(name string) string { return first(s.ClientStream.Trailer())[name] }

func (c *grpcClient) Open(ctx context.Context, method string, out metadata) (stream, error) {
	s, err := c.connection.NewStream(grpcmetadata.NewOutgoingContext(ctx, grpcmetadata.New(out)),
		&grpc.StreamDesc{ServerStreams: method != "Upload", ClientStreams: method != "Download"}, service+method, c.options...)
	return grpcStream{s}, err
}

func (c *grpcClient) Failure(err error) failure {
	s := status.Convert(err)
	f := failure{code: int(s.Code()), text: s.Message()}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			f.reason = info.Reason
		}
	}
	return f
}
