//! Options of connectors: the first line names one, each further line is `key=value`.

use crate::block_on;
use acequia_connectors::sinks::{MemoryTable, NoConsole, SinkEnvironment, SinkSpec, create_sink};
use acequia_connectors::sources::{SourceSpec, connector};
use acequia_core::disk::Disk;
use acequia_core::{Options, SystemClock, time};
use std::sync::Arc;

/// Makes source and sink from the options.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let name = lines.next().unwrap_or_default().to_string();
    if let Ok(micros) = time::parse_interval(&name) {
        let printed = time::format_interval(micros);
        assert_eq!(time::parse_interval(&printed).ok(), Some(micros), "{printed}");
    }
    let mut options = Options::default();
    for line in lines {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        // Options are made of what is no file and no peer: those are not the fuzzer's to touch.
        if ["path", "host", "port"].iter().any(|place| key.to_ascii_lowercase().contains(place)) {
            continue;
        }
        let _ = options.insert(key, value);
    }
    let environment = SinkEnvironment {
        console: Arc::new(NoConsole),
        memory: MemoryTable::new(),
        on_batch: None,
        disk: Disk::default(),
        clock: Arc::new(SystemClock::default()),
    };
    let spec = SinkSpec { connector: name.clone(), name: "x".into(), options: options.clone() };
    let _ = create_sink(&spec, &environment);
    if let Ok(connector) = connector(&name) {
        let spec = SourceSpec { name: "x".into(), options, declared: None, metadata: vec![] };
        let _ = block_on(connector.describe(&spec));
    }
}
