// What both Rust programs share: the data sets, the clock, and the lines they print, as harness.h has them; with WHO (any) the
// one work whose name is WORD is run, and how many calls that were is told, for bench/codec/profile.
use std::hint::black_box;
use std::time::{Duration, Instant};

pub struct Options {
    pub folder: String,
    pub time: Duration,
    pub word: String,
    pub who: Option<String>,
}

pub fn options() -> Options {
    let a: Vec<String> = std::env::args().collect();
    assert!(a.len() >= 3, "usage: PROGRAM FOLDER MILLISECONDS [WORD [WHO]]");
    Options { folder: a[1].clone(), time: Duration::from_millis(a[2].parse().unwrap()), word: a.get(3).cloned().unwrap_or_default(), who: a.get(4).cloned() }
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

// What is timed, in a function of its own: bench/codec/profile counts its instructions alone.
#[inline(never)]
fn timed(from: usize, to: usize, f: &mut impl FnMut(usize) -> u64) -> u64 {
    (from..to).fold(0u64, |sum, i| sum.wrapping_add(f(i)))
}

// Nanoseconds a call of f(i): items in stretches of at least 16 KB, the fastest time of each stretch.
pub fn race(o: &Options, who: &str, work: &str, sizes: &[usize], mut f: impl FnMut(usize) -> u64) {
    if !o.who.as_ref().map_or(work.contains(&o.word), |w| w == who && work == o.word) {
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
            sum = sum.wrapping_add(timed(i, *end, &mut f));
            i = *end;
            best[k] = best[k].min(start.elapsed().as_nanos() as f64);
        }
        pass += 1;
    }
    black_box(sum);
    if o.who.is_some() {
        println!("{who}\t{work}\t{}\tcalls", sizes.len() * pass);
    }
    println!("{who}\t{work}\t{:.6}\tns", best.iter().sum::<f64>() / sizes.len() as f64);
}

pub fn sizes<T: AsRef<[u8]>>(items: &[T]) -> Vec<usize> {
    items.iter().map(|s| s.as_ref().len()).collect()
}
