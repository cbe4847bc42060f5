// What both Rust programs share: the data sets, the clock, and the lines they print, as harness.h has them.
use std::hint::black_box;
use std::time::{Duration, Instant};

pub struct Options {
    pub folder: String,
    pub time: Duration,
    pub word: String,
}

pub fn options() -> Options {
    let a: Vec<String> = std::env::args().collect();
    assert!(a.len() >= 3, "usage: PROGRAM FOLDER MILLISECONDS [WORD]");
    Options { folder: a[1].clone(), time: Duration::from_millis(a[2].parse().unwrap()), word: a.get(3).cloned().unwrap_or_default() }
}

pub fn load(o: &Options, name: &str) -> Vec<Vec<u8>> {
    let all = std::fs::read(format!("{}/{}.bin", o.folder, name)).expect("data set");
    let (mut at, mut sets) = (0, Vec::new());
    while at + 4 <= all.len() {
        let n = u32::from_le_bytes(all[at..at + 4].try_into().unwrap()) as usize;
        sets.push(all[at + 4..at + 4 + n].to_vec());
        at += 4 + n;
    }
    sets
}

pub trait Touch {
    fn touch(&self) -> u64;
}

#[inline(always)]
pub fn see<S: AsRef<[u8]>>(s: S) -> u64 {
    let b = s.as_ref();
    b.len() as u64 + b.first().map_or(0, |c| *c as u64)
}

pub fn checksum(who: &str, what: &str, sum: u64) {
    println!("{who}\tsum of {what}\t{sum}\tsum");
}

// Nanoseconds a call of f(i): items in stretches of at least 16 KB, the fastest time of each stretch.
pub fn race(o: &Options, who: &str, work: &str, sizes: &[usize], mut f: impl FnMut(usize) -> u64) {
    if !work.contains(&o.word) {
        return;
    }
    let (mut ends, mut bytes) = (Vec::new(), 0);
    for (i, n) in sizes.iter().enumerate() {
        bytes += n;
        if bytes >= 16384 || i + 1 == sizes.len() {
            ends.push(i + 1);
            bytes = 0;
        }
    }
    let mut best = vec![f64::MAX; ends.len()];
    let until = Instant::now() + o.time;
    let (mut pass, mut sum) = (0, 0u64);
    while pass < 2 || Instant::now() < until {
        let mut i = 0;
        for (k, end) in ends.iter().enumerate() {
            let start = Instant::now();
            while i < *end {
                sum = sum.wrapping_add(f(i));
                i += 1;
            }
            best[k] = best[k].min(start.elapsed().as_nanos() as f64);
        }
        pass += 1;
    }
    black_box(sum);
    println!("{who}\t{work}\t{:.6}\tns", best.iter().sum::<f64>() / sizes.len() as f64);
}

pub fn sizes<T: AsRef<[u8]>>(items: &[T]) -> Vec<usize> {
    items.iter().map(|s| s.as_ref().len()).collect()
}
