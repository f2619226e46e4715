//! What goes wrong on the way to AWS or there: reported plainly, with the right exit code, nothing lost.

mod access;
mod checksums;
mod invalidations;
mod quotas;
mod silence;
mod slow_uploads;
mod stopping;
mod storm;
mod transfers;

const SITE: [(&str, &str); 4] =
    [("about.html", "about"), ("app.js", "code"), ("index.html", "welcome"), ("style.css", "style")];

const PRUNE: [&str; 2] = ["--prune-after", "0s"];
