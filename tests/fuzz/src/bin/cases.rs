//! Runs the targets with so many cases of arbitrary input, the same ones for the same seed, and counts them.
//!
//!     cases [--cases N] [--seed N] [TARGET…]     N cases in all, as many for each target
//!     cases --replay TARGET FILE…                inputs that failed, or that libFuzzer kept
//!     cases --corpus DIRECTORY                   writes the seeds as files, a directory a target
//!
//! A case that breaks a promise ends the run, and its input is left in `fuzz-failure-TARGET`.

use pure::source::seed;
use pure::targets::{Target, ALL};
use std::collections::BTreeMap;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

/// Below so many cases a kind may be missed by chance.
const ENOUGH: u64 = 10_000;
const LONGEST: usize = 400;

/// SplitMix64: the same numbers everywhere, with nothing to install.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or_default()
    }

    fn append(&mut self, data: &mut Vec<u8>, length: usize) {
        data.extend((0..length).map(|_| self.next().to_le_bytes()[0]));
    }
}

/// The seeds, followed by what the target asks for after its texts.
fn seeds(target: &Target) -> Result<Vec<Vec<u8>>, String> {
    let read = |line| {
        serde_json::from_str::<Vec<String>>(line)
            .map_err(|error| format!("seeds/{}: {error}", target.name))
    };
    target
        .seeds
        .lines()
        .map(|line| read(line).map(|texts| seed(&texts)))
        .collect()
}

/// The input of a case: arbitrary bytes; or a seed and arbitrary bytes after it, often with some of its own changed.
fn input(random: &mut Random, seeds: &[Vec<u8>], data: &mut Vec<u8>) {
    data.clear();
    if seeds.is_empty() || random.below(2) == 0 {
        let length = random.below(LONGEST);
        return random.append(data, length);
    }
    data.extend(&seeds[random.below(seeds.len())]);
    for _ in 0..random.below(4) {
        let at = random.below(data.len());
        match random.below(4) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data.insert(at, random.next().to_le_bytes()[0]),
            2 => drop(data.remove(at)),
            _ => data[at] = random.next().to_le_bytes()[0],
        }
        if data.is_empty() {
            break;
        }
    }
    random.append(data, 64);
}

fn run(target: &Target, cases: u64, seed: u64) -> Result<(), String> {
    let seeds = seeds(target)?;
    let begun = Instant::now();
    let name = target.name.bytes().fold(seed, |mixed, byte| {
        mixed.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut random = Random(name);
    let mut kinds: BTreeMap<&str, u64> = target.reaches.iter().map(|kind| (*kind, 0)).collect();
    let mut data = Vec::new();
    for case in 0..cases {
        // Every seed as it stands comes first.
        match seeds.get(usize::try_from(case).unwrap_or(usize::MAX)) {
            Some(seed) => data.clone_from(seed),
            None => input(&mut random, &seeds, &mut data),
        }
        let Ok(kind) = catch_unwind(AssertUnwindSafe(|| (target.run)(&data))) else {
            let file = format!("fuzz-failure-{}", target.name);
            std::fs::write(&file, &data).map_err(|error| error.to_string())?;
            return Err(format!(
                "{}: case {case} of seed {seed} breaks a promise; its input is in {file}",
                target.name
            ));
        };
        *kinds.entry(kind).or_default() += 1;
    }
    let said: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    println!(
        "{:<13} {cases:>10} cases {:>7.1} s   {}",
        target.name,
        begun.elapsed().as_secs_f64(),
        said.join(", ")
    );
    match kinds.iter().find(|(_, count)| **count == 0) {
        Some((kind, _)) if cases >= ENOUGH => {
            Err(format!("{}: no case was \"{kind}\"", target.name))
        }
        _ => Ok(()),
    }
}

fn number(value: Option<String>, what: &str) -> Result<u64, String> {
    value
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{what} takes a number"))
}

fn target(name: &str) -> Result<&'static Target, String> {
    ALL.iter()
        .find(|target| target.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
            format!("there is no target {name}; there are {}", names.join(" "))
        })
}

fn corpus(directory: &str) -> Result<(), String> {
    for target in ALL {
        let directory = format!("{directory}/{}", target.name);
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        for (number, seed) in seeds(target)?.iter().enumerate() {
            std::fs::write(format!("{directory}/seed-{number}"), seed)
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

fn main_or() -> Result<(), String> {
    let (mut cases, mut seed, mut wanted) = (200_000, 1, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--cases" => cases = number(arguments.next(), "--cases")?,
            "--seed" => seed = number(arguments.next(), "--seed")?,
            "--corpus" => return corpus(&arguments.next().ok_or("--corpus takes a directory")?),
            "--targets" => {
                ALL.iter().for_each(|target| println!("{}", target.name));
                return Ok(());
            }
            "--replay" => {
                let target = target(&arguments.next().ok_or("--replay takes a target")?)?;
                for file in arguments {
                    let data = std::fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
                    println!("{file}: {}", (target.run)(&data));
                }
                return Ok(());
            }
            name => wanted.push(target(name)?),
        }
    }
    if wanted.is_empty() {
        wanted.extend(ALL);
    }
    let each = cases.div_ceil(wanted.len() as u64);
    for target in &wanted {
        run(target, each, seed)?;
    }
    println!(
        "{} cases, seed {seed}: no promise is broken",
        each * wanted.len() as u64
    );
    Ok(())
}

fn main() -> ExitCode {
    match main_or() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
