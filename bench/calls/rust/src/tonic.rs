//! The peer tonic, with prost's messages, on a runtime of one thread.
use tonic::transport::server::TcpIncoming;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

mod proto {
    tonic::include_proto!("bench.v1");
}
use proto::echo_server::{Echo, EchoServer};
use proto::*;

struct Bench;

#[tonic::async_trait]
impl Echo for Bench {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoReply>, Status> {
        let EchoRequest { text, number, payload } = request.into_inner();
        Ok(Response::new(EchoReply { text, number, payload }))
    }

    // Every field is read.
    async fn ingest(&self, request: Request<LogBatch>) -> Result<Response<LogSummary>, Status> {
        let batch = request.into_inner();
        let (mut length, mut numbers, mut highest) = (0usize, 0i64, 0i32);
        for r in &batch.records {
            length += r.service.len() + r.instance.len() + r.text.len() + r.trace_id.len() + r.span_id.len();
            length += r.labels.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
            if let Some(s) = &r.source {
                length += s.file.len() + s.function.len();
                numbers += s.line as i64;
            }
            numbers += r.timestamp_ns;
            highest = highest.max(r.severity);
        }
        std::hint::black_box(numbers);
        Ok(Response::new(LogSummary { count: batch.records.len() as i32, length: length as i64, highest }))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening {}", listener.local_addr()?);
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder().add_service(EchoServer::new(Bench)).serve_with_incoming(incoming).await?;
        Ok(())
    })
}
