//! The peer connect-rust: its own server on a runtime of one thread, requests read from their views.
#![allow(refining_impl_trait)] // a handler names the message that it answers, as the documentation does
use std::sync::Arc;

use connectrpc::{RequestContext, Response, Router, Server, ServiceRequest, ServiceResult};

mod proto {
    connectrpc::include_generated!();
}
use proto::bench::v1::*;

struct Bench;

impl Echo for Bench {
    async fn echo(&self, _: RequestContext, request: ServiceRequest<'_, EchoRequest>) -> ServiceResult<EchoReply> {
        Response::ok(EchoReply {
            text: request.text.to_string(),
            number: request.number,
            payload: request.payload.to_vec().into(),
            ..Default::default()
        })
    }

    // Every field is read.
    async fn ingest(&self, _: RequestContext, request: ServiceRequest<'_, LogBatch>) -> ServiceResult<LogSummary> {
        let (mut length, mut numbers, mut highest) = (0usize, 0i64, 0i32);
        for r in request.records.iter() {
            length += r.service.len() + r.instance.len() + r.text.len() + r.trace_id.len() + r.span_id.len();
            length += r.labels.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if let Some(s) = r.source.as_option() {
                length += s.file.len() + s.function.len();
                numbers += s.line as i64;
            }
            numbers += r.timestamp_ns;
            highest = highest.max(r.severity.to_i32());
        }
        std::hint::black_box(numbers);
        Response::ok(LogSummary {
            count: request.records.len() as i32,
            length: length as i64,
            highest: highest.into(),
            ..Default::default()
        })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening {}", listener.local_addr()?);
        let router = Router::new().add_service(Arc::new(Bench));
        let server = Server::from_listener(listener);
        server.serve(router).await.map_err(|e| e.to_string())?;
        Ok(())
    })
}
