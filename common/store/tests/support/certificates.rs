//! A small certificate authority, made with the `openssl` command.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority, one server certificate for 127.0.0.1 and one client certificate, in a directory.
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes them; `None` where there is no `openssl`.
    pub fn make(dir: &Path) -> Option<Self> {
        Command::new("openssl").arg("version").output().ok()?;
        let made = Self {
            dir: dir.to_owned(),
        };
        made.authority();
        made.signed("server", "subjectAltName=IP:127.0.0.1,DNS:localhost");
        made.signed("client", "extendedKeyUsage=clientAuth");
        Some(made)
    }

    /// `ca.pem`, `server.pem`, `server.key`, `client.pem`, `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn authority(&self) {
        self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
             -subj /CN=test-authority -keyout ca.key -out ca.pem",
        );
    }

    fn signed(&self, name: &str, extension: &str) {
        let extensions = format!("{name}.ext");
        std::fs::write(self.file(&extensions), extension).unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
             -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile {extensions} -out {name}.pem"
        ));
    }

    fn openssl(&self, arguments: &str) {
        let done = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(&self.dir)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "openssl {arguments}: {said}");
    }
}
