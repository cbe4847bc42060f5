// Generates both libraries' code for shapes.proto.
fn main() {
    let files = ["../shapes.proto"];
    println!("cargo:rerun-if-changed=../shapes.proto");
    buffa_build::Config::new().files(&files).includes(&["../"]).generate_json(true).compile().expect("buffa");
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap()).join("prost");
    std::fs::create_dir_all(&out).unwrap();
    prost_build::Config::new().out_dir(out).compile_protos(&files, &["../"]).expect("prost");
}
