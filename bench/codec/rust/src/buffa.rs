// bench/codec: buffa. Decoding makes its zero-copy views; building and JSON use its owned messages.
mod harness;
use buffa::{Message, MessageView, ViewEncode};
use harness::{checksum, load, options, race, see, sizes, Options, Touch};

#[allow(dead_code, non_camel_case_types, unused_imports, clippy::all)]
mod shapes {
    include!(concat!(env!("OUT_DIR"), "/bench.shapes.mod.rs"));
}
use shapes::__buffa::view::oneof as view_oneof;
use shapes::*;

mod touch {
    use super::*;
    include!(env!("TOUCH_BUFFA"));
}

const WHO: &str = "buffa";

macro_rules! decode_rows {
    ($o:expr, $name:literal, $view:ident) => {{
        let set = load($o, $name);
        let once = |i: usize| $view::decode_view(&set[i]).expect("decode").touch();
        checksum(WHO, $name, (0..set.len()).fold(0u64, |s, i| s.wrapping_add(once(i))));
        race($o, WHO, concat!($name, ": decode and touch"), &sizes(&set), once);
    }};
}

fn log_rows(o: &Options, name: &str) {
    let set = load(o, name);
    let views: Vec<BatchView> = set.iter().map(|s| BatchView::decode_view(s).unwrap()).collect();
    let owned: Vec<Batch> = set.iter().map(|s| Batch::decode_from_slice(s).unwrap()).collect();
    assert_eq!(views[0].encode_to_vec().len(), set[0].len());
    race(o, WHO, &format!("{name}: re-encode"), &sizes(&set), |i| views[i].encode_to_vec().len() as u64);
    let texts: Vec<String> = owned.iter().map(|m| serde_json::to_string(m).unwrap()).collect();
    race(o, WHO, &format!("{name}: wire to JSON"), &sizes(&set), |i| serde_json::to_string(&owned[i]).unwrap().len() as u64);
    race(o, WHO, &format!("{name}: JSON to wire"), &sizes(&texts), |i| {
        serde_json::from_str::<Batch>(&texts[i]).unwrap().encode_to_vec().len() as u64
    });
}

// Builds the log batch out of what the view of it points to.
fn build(o: &Options) {
    let set = load(o, "logbatch");
    let plain = BatchView::decode_view(&set[0]).unwrap();
    let once = |_: usize| {
        let mut b = Batch::default();
        for p in plain.records.iter() {
            let source = p.source.as_option().unwrap();
            b.records.push(Record {
                timestamp_ns: p.timestamp_ns,
                service: p.service.to_string(),
                instance: p.instance.to_string(),
                severity: p.severity.clone(),
                text: p.text.to_string(),
                labels: p.labels.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
                trace_id: p.trace_id.to_string(),
                span_id: p.span_id.to_string(),
                source: buffa::MessageField::some(Source {
                    file: source.file.to_string(),
                    line: source.line,
                    function: source.function.to_string(),
                    ..Default::default()
                }),
                ..Default::default()
            });
        }
        b.encode_to_vec().len() as u64
    };
    assert_eq!(once(0), set[0].len() as u64);
    race(o, WHO, "logbatch: build and encode", &sizes(&set), once);
}

fn main() {
    let o = &options();
    decode_rows!(o, "api", ApiView);
    decode_rows!(o, "logrec", RecordView);
    decode_rows!(o, "analytics", EventView);
    decode_rows!(o, "gm1", WideView);
    decode_rows!(o, "logbatch", BatchView);
    decode_rows!(o, "logvar", BatchView);
    decode_rows!(o, "logmixed", BatchView);
    decode_rows!(o, "anbig", EventView);
    let fixed = load(o, "packedfixed");
    race(o, WHO, "packed fixed64, 1 MiB: decode", &sizes(&fixed), |i| PackedFixedView::decode_view(&fixed[i]).unwrap().values.len() as u64);
    let varints = load(o, "packedvarint");
    let sum = |i: usize| PackedVarintView::decode_view(&varints[i]).unwrap().touch();
    checksum(WHO, "packedvarint", sum(0));
    race(o, WHO, "packed varint, 1 MiB: decode and touch", &sizes(&varints), sum);
    let batch = load(o, "logbatch");
    race(o, WHO, "logbatch: two fields of each record", &sizes(&batch), |i| {
        let view = BatchView::decode_view(&batch[i]).unwrap();
        view.records.iter().fold(0u64, |s, r| s.wrapping_add(r.timestamp_ns as u64).wrapping_add(see(r.span_id)))
    });
    log_rows(o, "logbatch");
    log_rows(o, "logvar");
    build(o);
}
