//! The function as a zip, under Lambda's runtime API.

use crate::world::command::{binary, clean, repository, run};
use crate::world::tools;
use std::fs::File;
use std::io;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[test]
fn a_zip_answers_an_event_under_the_runtime_api() {
    if !tools::has("python3") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let packed = folder.path().join("function.zip");
    let mut writer = ZipWriter::new(File::create(&packed).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).unix_permissions(0o755);
    writer.start_file("bootstrap", options).unwrap();
    io::copy(&mut File::open(binary()).unwrap(), &mut writer).unwrap();
    writer.finish().unwrap();
    let ended = run(clean(repository("packaging/run-lambda")).arg(&packed)).ended_with(0);
    assert!(ended.stdout.contains(r#"it answered {"dealtWith":1}, and invalidated / /index.html"#), "{ended:?}");
}
