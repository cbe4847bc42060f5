// connect-go as a client: Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"

	"zcrpc/interop/interopv1"
)

type connectClient struct {
	name    string
	http    *http.Client
	url     string
	options []connect.ClientOption
	get     bool
	duplex  bool
}

// protocol: connect, grpc or grpcweb; version: 1 or 2, of HTTP.
func newConnect(protocol string, version int, address, certificate string, compressed, json, get bool) (client, error) {
	var protocols http.Protocols
	transport := &http.Transport{Protocols: &protocols, MaxIdleConnsPerHost: 64}
	c := &connectClient{name: fmt.Sprintf("connect-go %s HTTP/%d", protocol, version), http: &http.Client{Transport: transport},
		url: "http://" + address, get: get, duplex: version == 2}
	switch {
	case version == 1:
		protocols.SetHTTP1(true)
	case certificate != "":
		protocols.SetHTTP2(true)
	default:
		protocols.SetUnencryptedHTTP2(true)
	}
	if certificate != "" {
		pem, err := os.ReadFile(certificate)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		c.url = "https://" + address
	}
	switch protocol {
	case "grpc":
		c.options = append(c.options, connect.WithGRPC())
	case "grpcweb":
		c.options = append(c.options, connect.WithGRPCWeb())
	}
	if compressed {
		c.options = append(c.options, connect.WithSendGzip())
		c.name += " gzip"
	}
	if json {
		c.options = append(c.options, connect.WithProtoJSON())
		c.name += " JSON"
	}
	return c, nil
}

func (c *connectClient) Name() string { return c.name }
func (c *connectClient) Duplex() bool { return c.duplex }

func set(h http.Header, out metadata) {
	for name, value := range out {
		if strings.HasSuffix(name, "-bin") {
			value = connect.EncodeBinaryHeader([]byte(value))
		}
		h.Set(name, value)
	}
}

func value(name, text string) string {
	if strings.HasSuffix(strings.ToLower(name), "-bin") {
		if bytes, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err == nil {
			return string(bytes)
		}
	}
	return text
}

func get(h http.Header) metadata {
	out := metadata{}
	for name, values := range h {
		out[strings.ToLower(name)] = value(name, values[0])
	}
	return out
}

func unary[Request, Reply any](ctx context.Context, c *connectClient, method string, request *Request, reply proto.Message, out metadata) (metadata, metadata, error) {
	options := c.options
	if method == "Get" {
		options = append(options, connect.WithIdempotency(connect.IdempotencyNoSideEffects))
		if c.get {
			options = append(options, connect.WithHTTPGet())
		}
	}
	r := connect.NewRequest(request)
	set(r.Header(), out)
	response, err := connect.NewClient[Request, Reply](c.http, c.url+service+method, options...).CallUnary(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	proto.Merge(reply, any(response.Msg).(proto.Message))
	return get(response.Header()), get(response.Trailer()), nil
}

func (c *connectClient) Unary(ctx context.Context, method string, request, reply proto.Message, out metadata) (metadata, metadata, error) {
	switch r := request.(type) {
	case *interopv1.SeenRequest:
		return unary[interopv1.SeenRequest, interopv1.SeenReply](ctx, c, method, r, reply, out)
	case *interopv1.Request:
		return unary[interopv1.Request, interopv1.Reply](ctx, c, method, r, reply, out)
	}
	return nil, nil, errors.New("no such request")
}

// A download begins when its one request is there.
type download struct {
	begin func(*interopv1.Request) (*connect.ServerStreamForClient[interopv1.Reply], error)
	s     *connect.ServerStreamForClient[interopv1.Reply]
}

func (d *download) Send(r *interopv1.Request) (err error) {
	d.s, err = d.begin(r)
	return err
}
func (d *download) CloseSend() error { return nil }
func (d *download) Receive() (*interopv1.Reply, error) {
	if d.s.Receive() {
		return proto.Clone(d.s.Msg()).(*interopv1.Reply), nil
	}
	if err := d.s.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}
func (d *download) Trailer(name string) string { return get(d.s.ResponseTrailer())[name] }

type upload struct {
	s     *connect.ClientStreamForClient[interopv1.Request, interopv1.Reply]
	ended bool
	last  http.Header
}

func (u *upload) Send(r *interopv1.Request) error { return u.s.Send(r) }
func (u *upload) CloseSend() error                { return nil }
func (u *upload) Receive() (*interopv1.Reply, error) {
	if u.ended {
		return nil, io.EOF
	}
	u.ended = true
	response, err := u.s.CloseAndReceive()
	if err != nil {
		return nil, err
	}
	u.last = response.Trailer()
	return response.Msg, nil
}
func (u *upload) Trailer(name string) string { return get(u.last)[name] }

type chat struct {
	s *connect.BidiStreamForClient[interopv1.Request, interopv1.Reply]
}

func (c chat) Send(r *interopv1.Request) error { return c.s.Send(r) }
func (c chat) CloseSend() error                { return c.s.CloseRequest() }
func (c chat) Receive() (*interopv1.Reply, error) {
	reply, err := c.s.Receive()
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return reply, err
}
func (c chat) Trailer(name string) string { return get(c.s.ResponseTrailer())[name] }

func (c *connectClient) Open(ctx context.Context, method string, out metadata) (stream, error) {
	one := connect.NewClient[interopv1.Request, interopv1.Reply](c.http, c.url+service+method, c.options...)
	switch method {
	case "Download":
		return &download{begin: func(r *interopv1.Request) (*connect.ServerStreamForClient[interopv1.Reply], error) {
			request := connect.NewRequest(r)
			set(request.Header(), out)
			return one.CallServerStream(ctx, request)
		}}, nil
	case "Upload":
		s := one.CallClientStream(ctx)
		set(s.RequestHeader(), out)
		return &upload{s: s}, nil
	default:
		s := one.CallBidiStream(ctx)
		set(s.RequestHeader(), out)
		return chat{s}, nil
	}
}

func (c *connectClient) Failure(err error) failure {
	f := failure{code: int(connect.CodeOf(err)), text: err.Error()}
	var e *connect.Error
	if errors.As(err, &e) {
		f.text = e.Message()
		for _, detail := range e.Details() {
			if v, err := detail.Value(); err == nil {
				if info, ok := v.(*errdetails.ErrorInfo); ok {
					f.reason = info.Reason
				}
			}
		}
	}
	return f
}
