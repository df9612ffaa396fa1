// SPDX-License-Identifier: MIT
//
// A Rust program to attach to; see threads.cpp. Panics are caught, channels and maps are used.
use std::collections::HashMap;
use std::io::Read;
use std::sync::mpsc;

fn round_of_work(mut seed: u32) -> u64 {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut numbers = Vec::new();
    for _ in 0..2000 {
        seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
        numbers.push(seed);
        *counts.entry((seed % 97).to_string()).or_insert(0) += 1;
    }
    numbers.sort();
    let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(7u64)));
    let thrown = *caught.unwrap_err().downcast::<u64>().unwrap();
    let sum: u64 = counts.iter().map(|(text, count)| text.len() as u64 * count * count).sum();
    sum + u64::from(numbers[1000]) + thrown
}

fn main() {
    let (working, all) = mpsc::channel();
    for seed in 1..5 {
        let working = working.clone();
        std::thread::spawn(move || {
            let expected = round_of_work(seed);
            working.send(()).unwrap();
            while round_of_work(seed) == expected {}
            eprintln!("WRONG: a result");
            std::process::exit(1);
        });
    }
    for _ in 0..4 {
        all.recv().unwrap();
    }
    std::fs::File::create(std::env::args().last().unwrap()).unwrap();
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).unwrap();
    std::process::exit(0);
}
