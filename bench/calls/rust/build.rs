//! The same bench.proto as every peer's: for connect-rust as buffa's views, for tonic as prost's messages.
fn main() {
    let folder = std::env::var("BENCH_PROTO").expect("BENCH_PROTO: the folder of bench.proto");
    let file = format!("{folder}/bench.proto");
    println!("cargo:rerun-if-changed={file}");
    println!("cargo:rerun-if-env-changed=BENCH_PROTO");
    connectrpc_build::Config::new().files(&[&file]).includes(&[&folder]).include_file("_connectrpc.rs").compile().unwrap();
    tonic_prost_build::configure().build_client(false).compile_protos(&[&file], &[&folder]).unwrap();
}
