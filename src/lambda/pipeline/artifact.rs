//! The job's input artifact: a zip file from the artifact store, unpacked on the function's own disk.

use crate::aws::Aws;
use crate::error::{Error, ErrorKind, Result};
use crate::lambda::pipeline::parameters::DeployParameters;
use crate::s3::Bucket;
use aws_lambda_events::codepipeline_job::{CodePipelineData, CodePipelineInputArtifact};
use aws_sdk_s3::config::Credentials;
use shipfront_site::Target;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// shipfront's folder in the function's temporary directory. Remainders of a killed run are removed first: an
/// execution environment and its disk serve one invocation after another.
const FOLDER: &str = "shipfront-artifact";
/// Maximum number of files in a site; far more do not fit into any function's disk and time.
const MOST_FILES: usize = 500_000;
/// Bytes that a file takes in addition to its content, when computing what fits.
const FILE_OVERHEAD: u64 = 4096;

/// An artifact's files, removed when dropped.
#[derive(Debug)]
pub(super) struct Unpacked {
    folder: PathBuf,
    site: PathBuf,
}

impl Unpacked {
    /// The folder of the site.
    pub(super) fn site(&self) -> PathBuf {
        self.site.clone()
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // The next invocation tries again.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Downloads the artifact with the credentials of the job, and unpacks it.
pub(super) async fn fetch(aws: &Aws, data: &CodePipelineData, deploy: &DeployParameters) -> Result<Unpacked> {
    let artifact = choose(&data.input_artifacts, deploy.artifact.as_deref())?;
    let location = &artifact.location.s3_location;
    let (Some(bucket), Some(key)) = (&location.bucket_name, &location.object_key) else {
        return Err(
            Error::failed("the job does not say where its input artifact is").hint("give the action an input artifact")
        );
    };
    let given = &data.artifact_credentials;
    let (Some(id), Some(secret)) = (&given.access_key_id, &given.secret_access_key) else {
        return Err(Error::failed("the job has no credentials for its input artifact")
            .hint("give the action an input artifact"));
    };
    let credentials = Credentials::new(id, secret, given.session_token.clone(), None, "codepipeline-job");
    let aws = aws.with_credentials(credentials)?;
    let folder = std::env::temp_dir().join(FOLDER);
    let site = folder.join("site");
    let unpacked = Unpacked { site: site.join(&deploy.source), folder };
    let disk = |error: io::Error| {
        Error::failed(format!("cannot use the function's disk: {error}"))
            .hint("raise the function's ephemeral storage (EphemeralStorage, up to 10,240 MB)")
    };
    match fs::remove_dir_all(&unpacked.folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
        _ => fs::create_dir_all(&site).map_err(disk)?,
    }
    let path = unpacked.folder.join("artifact.zip");
    let mut file = tokio::fs::File::create_new(&path).await.map_err(disk)?;
    let mut store = Bucket::unseen(&aws, &Target::whole(bucket)?);
    let size = store.download(&aws, key, &mut file, room(&unpacked.folder)?).await.map_err(no_room)?;
    drop(file);
    let room = room(&unpacked.folder)?;
    let source = deploy.source.clone();
    let work = move || unpack(&File::open(&path).map_err(disk)?, &source, &site, room);
    let unpack = tokio::task::spawn_blocking(work).await;
    let name = artifact.name.as_deref().unwrap_or(key);
    let unpack = unpack.map_err(|_| Error::failed("unpacking broke down")).flatten();
    unpack.map_err(|error| {
        Error::failed(format!("the input artifact {name} ({size} bytes): {error}")).hint(error.hint_text())
    })?;
    Ok(unpacked)
}

fn choose<'a>(
    artifacts: &'a [CodePipelineInputArtifact],
    wanted: Option<&str>,
) -> Result<&'a CodePipelineInputArtifact> {
    let named = |name: &str| artifacts.iter().find(|artifact| artifact.name.as_deref() == Some(name));
    let names: Vec<&str> = artifacts.iter().filter_map(|artifact| artifact.name.as_deref()).collect();
    match (artifacts, wanted) {
        ([], _) => Err(Error::usage("the action has no input artifact to deploy")
            .hint("give it the output of the build as InputArtifacts, or leave \"deploy\" out of UserParameters")),
        (_, Some(name)) => named(name).ok_or_else(|| {
            Error::usage(format!("the action has no input artifact {name:?}, only {}", names.join(", ")))
                .hint("correct \"artifact\" in \"deploy\"")
        }),
        ([only], None) => Ok(only),
        (_, None) => Err(Error::usage(format!("the action has several input artifacts: {}", names.join(", ")))
            .hint("say which with {\"deploy\": {\"artifact\": \"NAME\"}}")),
    }
}

/// Free bytes on a folder's disk.
#[cfg(unix)]
fn room(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder);
    let disk = disk.map_err(|error| Error::failed(format!("cannot see how much room the disk has: {error}")))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Functions run on Linux; elsewhere, a full disk is noticed when it is full.
#[cfg(not(unix))]
fn room(_folder: &Path) -> Result<u64> {
    Ok(u64::MAX)
}

fn no_room(error: Error) -> Error {
    if error.kind() == ErrorKind::NoRoom {
        error.hint("raise the function's ephemeral storage (EphemeralStorage, up to 10,240 MB)")
    } else {
        error
    }
}

/// Unpacks everything below `source`, if all of it fits and stays inside `into`. What cannot be unpacked faithfully
/// is refused, not skipped: a missing file would count as removed.
fn unpack(archive: impl Read + Seek, source: &Path, into: &Path, room: u64) -> Result<()> {
    let broken = |error: zip::result::ZipError| {
        Error::failed(format!("it is not a readable ZIP archive: {error}"))
            .hint("let the build write the artifact as a ZIP archive, as CodeBuild does")
    };
    let mut archive = ZipArchive::new(io::BufReader::new(archive)).map_err(broken)?;
    if archive.len() > MOST_FILES {
        return Err(Error::failed(format!("it has {} files, and more than {MOST_FILES} are refused", archive.len()))
            .hint("put only the site into the artifact"));
    }
    let mut wanted = Vec::new();
    let mut needed = 0_u64;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        let path = safe_path(&name)?;
        if !path.starts_with(source) || entry.is_dir() {
            continue;
        }
        if entry.is_symlink() {
            return Err(Error::failed(format!("{name:?} is a symbolic link"))
                .hint("have the build put the file itself into the artifact (in CodeBuild, without enable-symlinks)"));
        }
        if entry.encrypted() {
            return Err(Error::failed(format!("{name:?} is encrypted"))
                .hint("put the file into the artifact without a password"));
        }
        needed = needed.saturating_add(entry.size()).saturating_add(FILE_OVERHEAD);
        wanted.push((at, path));
    }
    if wanted.is_empty() {
        return Err(Error::failed(format!("it has no files below {:?}", source.display().to_string()))
            .hint("\"source\" in \"deploy\" is the folder of the artifact that is the site"));
    }
    if needed > room {
        return Err(Error::failed(format!("it needs {needed} bytes unpacked, but there is room for {room}"))
            .hint("raise the function's ephemeral storage (EphemeralStorage, up to 10,240 MB)"));
    }
    for (at, path) in wanted {
        let entry = archive.by_index(at).map_err(broken)?;
        let size = entry.size();
        let unpacked = write(entry, &into.join(&path), size);
        unpacked
            .map_err(|error| Error::failed(format!("{:?} cannot be unpacked: {error}", path.display().to_string())))?;
    }
    Ok(())
}

/// Writes one file, and no more of it than was announced.
fn write(content: impl Read, path: &Path, size: u64) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create_new(path)?;
    // One byte more than announced, so that the end is reached, and with it the check of the digest.
    let written = io::copy(&mut content.take(size.saturating_add(1)), &mut file)?;
    if written == size { Ok(()) } else { Err(io::Error::other("it has another size than the archive says")) }
}

/// The path of an entry below the folder it is unpacked into.
fn safe_path(name: &str) -> Result<PathBuf> {
    let refused = |why: &str| {
        Err(Error::failed(format!("the entry {name:?} {why}; nothing was deployed"))
            .hint("correct the name in the build that makes the artifact"))
    };
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return refused("would land outside the site");
    }
    if name.contains(['\\', '\0']) {
        return refused("has a name that is no path of a site");
    }
    Ok(name.split('/').filter(|part| !matches!(*part, "" | ".")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Write};
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// The unpacked files, or why there are none.
    fn unpacked(bytes: &[u8], source: &str, room: u64) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let into = directory.path().join("site");
        let done = unpack(Cursor::new(bytes), Path::new(source), &into, room);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), usize::from(into.exists()), "something is outside");
        done.map_err(|error| error.to_string())?;
        let files = walkdir::WalkDir::new(&into).sort_by_file_name().into_iter().map(Result::unwrap);
        let files = files.filter(|file| file.file_type().is_file());
        Ok(files.map(|file| file.path().strip_prefix(&into).unwrap().display().to_string()).collect())
    }

    const MUCH: u64 = 1 << 30;

    #[test]
    fn the_folder_of_the_site_is_unpacked_and_nothing_else() {
        let bytes = archive(&[("dist/index.html", b"a"), ("./dist/a b/c.js", b""), ("buildspec.yml", b"x")]);
        assert_eq!(unpacked(&bytes, "dist", MUCH).unwrap(), ["dist/a b/c.js", "dist/index.html"]);
        assert_eq!(unpacked(&bytes, "", MUCH).unwrap().len(), 3);
        assert!(unpacked(&bytes, "public", MUCH).unwrap_err().contains("no files below \"public\""));
    }

    #[test]
    fn an_entry_that_would_land_elsewhere_refuses_the_whole_archive() {
        for name in ["../evil.html", "a/../../evil.html", "/etc/evil", "a\\..\\evil"] {
            let reported = unpacked(&archive(&[("index.html", b"a"), (name, b"x")]), "", MUCH).unwrap_err();
            assert!(reported.contains("evil") && reported.contains("nothing was deployed"), "{reported}");
        }
    }

    #[test]
    fn a_symbolic_link_is_refused_and_not_followed_or_left_out() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_symlink("index.html", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        assert!(unpacked(&bytes, "", MUCH).unwrap_err().contains("symbolic link"));
    }

    #[test]
    fn what_does_not_fit_is_refused_before_a_byte_is_written() {
        let zeros = vec![0; 5 << 20];
        let bytes = archive(&[("bomb.bin", &zeros)]);
        assert!(bytes.len() < 10_000, "it is a bomb: {} bytes", bytes.len());
        assert!(unpacked(&bytes, "", 1 << 20).unwrap_err().contains("room for 1048576"));
    }

    #[test]
    fn a_file_that_is_larger_than_announced_stops_at_its_announced_size() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(write(io::repeat(0), &path, 10).is_err());
        assert_eq!(fs::metadata(&path).unwrap().len(), 11);
    }

    #[test]
    fn what_is_no_zip_or_cut_off_is_an_error() {
        let bytes = archive(&[("index.html", b"content of some length")]);
        for length in 0..bytes.len() {
            assert!(unpacked(&bytes[..length], "", MUCH).is_err(), "cut at {length}");
        }
    }
}
