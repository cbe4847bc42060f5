// bench/codec: prost, whose messages own their strings.
mod harness;
use harness::{checksum, load, options, race, see, sizes, Options, Touch};
use prost::Message;

#[allow(dead_code, clippy::all)]
mod shapes {
    include!(concat!(env!("OUT_DIR"), "/prost/bench.shapes.rs"));
}
use shapes::*;

mod touch {
    use super::*;
    include!(env!("TOUCH_PROST"));
}

const WHO: &str = "prost";

fn decode_rows<M: Message + Default + Touch>(o: &Options, name: &str) {
    let set = load(o, name);
    let once = |i: usize| M::decode(set[i].as_slice()).expect("decode").touch();
    checksum(WHO, name, (0..set.len()).fold(0u64, |s, i| s.wrapping_add(once(i))));
    race(o, WHO, &format!("{name}: decode and touch"), &sizes(&set), once);
}

fn build(o: &Options) {
    let set = load(o, "logbatch");
    let plain = Batch::decode(set[0].as_slice()).unwrap();
    let labels: Vec<Vec<(&str, &str)>> = plain.records.iter().map(|r| r.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect()).collect();
    let once = |_: usize| {
        let mut b = Batch::default();
        for (p, labels) in plain.records.iter().zip(&labels) {
            let source = p.source.as_ref().unwrap();
            b.records.push(Record {
                timestamp_ns: p.timestamp_ns,
                service: p.service.as_str().to_string(),
                instance: p.instance.as_str().to_string(),
                severity: p.severity,
                text: p.text.as_str().to_string(),
                labels: labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                trace_id: p.trace_id.as_str().to_string(),
                span_id: p.span_id.as_str().to_string(),
                source: Some(Source { file: source.file.as_str().to_string(), line: source.line, function: source.function.as_str().to_string() }),
            });
        }
        b.encode_to_vec().len() as u64
    };
    assert_eq!(once(0), set[0].len() as u64);
    race(o, WHO, "logbatch: build and encode", &sizes(&set), once);
}

fn main() {
    let o = &options();
    decode_rows::<Api>(o, "api");
    decode_rows::<Record>(o, "logrec");
    decode_rows::<Event>(o, "analytics");
    decode_rows::<Wide>(o, "gm1");
    decode_rows::<Batch>(o, "logbatch");
    decode_rows::<Batch>(o, "logvar");
    decode_rows::<Batch>(o, "logmixed");
    decode_rows::<Event>(o, "anbig");
    let fixed = load(o, "packedfixed");
    race(o, WHO, "packed fixed64, 1 MiB: decode", &sizes(&fixed), |i| PackedFixed::decode(fixed[i].as_slice()).unwrap().values.len() as u64);
    let varints = load(o, "packedvarint");
    let sum = |i: usize| PackedVarint::decode(varints[i].as_slice()).unwrap().touch();
    checksum(WHO, "packedvarint", sum(0));
    race(o, WHO, "packed varint, 1 MiB: decode and touch", &sizes(&varints), sum);
    let batch = load(o, "logbatch");
    race(o, WHO, "logbatch: two fields of each record", &sizes(&batch), |i| {
        let m = Batch::decode(batch[i].as_slice()).unwrap();
        m.records.iter().fold(0u64, |s, r| s.wrapping_add(r.timestamp_ns as u64).wrapping_add(see(&r.span_id)))
    });
    for name in ["logbatch", "logvar"] {
        let set = load(o, name);
        let messages: Vec<Batch> = set.iter().map(|s| Batch::decode(s.as_slice()).unwrap()).collect();
        race(o, WHO, &format!("{name}: re-encode"), &sizes(&set), |i| messages[i].encode_to_vec().len() as u64);
    }
    build(o);
}
