//! Makes, mounts and shuts down filesystems, which only root on Linux may.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::done::Fallible;

/// A kind of filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fs {
    Ext4,
    Xfs,
}

impl Fs {
    pub(super) const ALL: [Fs; 2] = [Fs::Ext4, Fs::Xfs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Fs::Ext4 => "ext4",
            Fs::Xfs => "xfs",
        }
    }

    /// The smallest size that its mkfs accepts.
    fn bytes(self) -> u64 {
        match self {
            Fs::Ext4 => 64 << 20,
            Fs::Xfs => 300 << 20,
        }
    }

    /// Mount options that change what a shutdown leaves.
    fn options(self) -> &'static [&'static str] {
        match self {
            Fs::Ext4 => &["loop", "loop,noauto_da_alloc"],
            Fs::Xfs => &["loop"],
        }
    }
}

/// Returns why this machine cannot mount filesystems with these tools, if it cannot.
pub(crate) fn lacking(tools: &[&str]) -> Option<String> {
    if !is_root() {
        return Some("only root may mount a filesystem".to_owned());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let is_there = |tool: &&str| path.split(':').any(|dir| Path::new(dir).join(tool).exists());
    tools.iter().find(|tool| !is_there(tool)).map(|tool| format!("there is no {tool}"))
}

fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    user.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
}

/// Whether the kernel supports a filesystem, if need be by a module.
pub(crate) fn kernel_knows(fs: &str) -> bool {
    let _ = Command::new("modprobe").arg(fs).stderr(Stdio::null()).status();
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.split_whitespace().any(|word| word == fs)
}

/// Lists the loop devices and mounts of this name.
pub(crate) fn leftovers(name: &str) -> Fallible<Vec<String>> {
    let devices = Command::new("losetup").arg("--all").output()?.stdout;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let devices = String::from_utf8_lossy(&devices).into_owned();
    let ours = devices.lines().chain(mounts.lines()).filter(|line| line.contains(name));
    Ok(ours.map(str::to_owned).collect())
}

/// Runs a program. Its error output is the error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Fallible<()> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|err| format!("{program}: {err}"))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {}", arguments.join(" "), message.trim()).into())
}

/// Unmounts a filesystem. Retried for some seconds, as a process that another thread starts may hold
/// a file of this one open for a moment.
pub(crate) fn unmount(mount: &Path) -> Fallible<()> {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match run("umount", &[&mount.to_string_lossy()]) {
            Err(err) if Instant::now() < end && err.to_string().contains("busy") => {
                thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// An image file with a filesystem in it, and where that is mounted.
pub(super) struct Volume {
    fs: Fs,
    image: PathBuf,
    mount: PathBuf,
}

impl Volume {
    pub(super) fn new(fs: Fs, folder: &Path, name: &str, helper: &mut Helper) -> Fallible<Self> {
        let image = folder.join(name);
        let mount = folder.join(format!("{name}.mounted"));
        fs::create_dir(&mount)?;
        fs::File::create(&image)?.set_len(fs.bytes())?;
        // Smaller than a page, so that more writes are torn.
        let blocks: &[&str] = if fs == Fs::Ext4 { &["-b", "1024", "-m", "0"] } else { &[] };
        let image_name = image.to_string_lossy().into_owned();
        run(&format!("mkfs.{}", fs.name()), &[&["-q"], blocks, &[&image_name]].concat())?;
        let volume = Volume { fs, image, mount };
        volume.mount(0)?;
        fs::create_dir(volume.stores())?;
        helper.fragment(&volume.mount)?;
        volume.unmount()?;
        Ok(volume)
    }

    /// Where the stores are.
    pub(super) fn stores(&self) -> PathBuf {
        self.mount.join("stores")
    }

    pub(super) fn mount(&self, options: u64) -> Fallible<()> {
        let all = self.fs.options();
        let chosen = all[usize::try_from(options % all.len() as u64)?];
        let (image, mount) = (self.image.to_string_lossy(), self.mount.to_string_lossy());
        run("mount", &["-t", self.fs.name(), "-o", chosen, &image, &mount])
    }

    pub(super) fn unmount(&self) -> Fallible<()> {
        unmount(&self.mount)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.mount).stderr(Stdio::null()).status();
        let _ = fs::remove_file(&self.image);
        let _ = fs::remove_dir(&self.mount);
    }
}

/// Shuts filesystems down.
pub(super) struct Helper {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    pub(super) fn new() -> Fallible<Self> {
        let mut python = Command::new("python3");
        python.args(["-c", include_str!("helper.py")]);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("python3 has no output")?);
        Ok(Helper { child, commands, answers })
    }

    /// Leaves no two adjacent free blocks, so that files are written in pieces.
    fn fragment(&mut self, root: &Path) -> Fallible<()> {
        self.request("fragment", &root.to_string_lossy())?;
        self.answer().map(|_| ())
    }

    pub(super) fn open(&mut self, root: &Path) -> Fallible<()> {
        self.request("open", &root.to_string_lossy())?;
        self.answer().map(|_| ())
    }

    /// Requests the shutdown of the opened filesystem after some microseconds.
    pub(super) fn shut_down(&mut self, delay: u64) -> Fallible<()> {
        self.request("down", &delay.to_string())
    }

    /// Waits for the requested shutdown. Returns when it came, in nanoseconds since 1970.
    pub(super) fn shut_down_at(&mut self) -> Fallible<u128> {
        Ok(self.answer()?.trim().parse()?)
    }

    fn request(&mut self, command: &str, argument: &str) -> Fallible<()> {
        let commands = self.commands.as_mut().ok_or("the helper has ended")?;
        Ok(writeln!(commands, "{command} {argument}")?)
    }

    fn answer(&mut self) -> Fallible<String> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("the helper has ended: the filesystem could not be shut down".into());
        }
        Ok(line)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends with its input.
        self.commands = None;
        let _ = self.child.wait();
    }
}
