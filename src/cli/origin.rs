//! Whose data a folder holds: the world's or the demo's. The two must not get mixed, and both commands use `data_dir`.

use std::path::Path;

use anyhow::Context as _;

use super::Usage;
use crate::config::Config;

/// Where the tracks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The sandbox of `reprise demo`.
    Demo,
    /// The real music APIs.
    World,
}

/// The file in `data_dir` that says so.
const MARK: &str = "origin";

impl Origin {
    /// Of a service with this configuration; `None` for stand-ins on this machine, which may be tried on anything.
    pub(super) fn of_service(config: &Config) -> Option<Origin> {
        let url = url::Url::parse(&config.spotify.api_url).ok()?;
        let local = match url.host()? {
            url::Host::Domain(name) => name == "localhost",
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
        };
        (!local).then_some(Origin::World)
    }

    fn name(self) -> &'static str {
        match self {
            Origin::Demo => "demo",
            Origin::World => "world",
        }
    }

    /// Takes the folder for data of this origin.
    ///
    /// # Errors
    /// [`Usage`] if it holds data of the other one; an I/O error if the mark cannot be written.
    pub(super) fn claim(self, folder: &Path) -> anyhow::Result<()> {
        let mark = folder.join(MARK);
        let shown = folder.display();
        match (self, std::fs::read_to_string(&mark).unwrap_or_default().trim()) {
            (Origin::World, "demo") => Err(Usage(format!(
                "data_dir {shown} holds the invented music of `reprise demo`; set data_dir (REPRISE__DATA_DIR) to another folder, \
                 or remove this one"
            ))
            .into()),
            (Origin::Demo, "world") => Err(Usage(format!(
                "data_dir {shown} holds real data, which the demo would mix with invented music; set REPRISE__DATA_DIR to another \
                 folder for the demo"
            ))
            .into()),
            (_, found) if found == self.name() => Ok(()),
            _ => {
                std::fs::create_dir_all(folder).with_context(|| format!("data_dir {shown} cannot be made"))?;
                std::fs::write(&mark, self.name()).with_context(|| format!("{} cannot be written", mark.display()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_and_real_music_do_not_get_into_one_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (demo, real) = (folder.path().join("demo"), folder.path().join("real"));
        Origin::Demo.claim(&demo).expect("free");
        Origin::World.claim(&real).expect("free");
        Origin::Demo.claim(&demo).expect("its own");
        Origin::World.claim(&real).expect("its own");
        for refused in [Origin::World.claim(&demo), Origin::Demo.claim(&real)] {
            let error = refused.expect_err("the other's");
            assert!(error.is::<Usage>() && error.to_string().contains("REPRISE__DATA_DIR"), "{error}");
        }
    }

    #[test]
    fn stand_ins_on_this_machine_may_be_tried_on_anything() {
        let mut config = Config::default();
        assert_eq!(Origin::of_service(&config), Some(Origin::World));
        for local in ["http://127.0.0.1:8080/v1", "http://localhost/v1", "http://[::1]:9/v1"] {
            local.clone_into(&mut config.spotify.api_url);
            assert_eq!(Origin::of_service(&config), None, "{local}");
        }
    }
}
