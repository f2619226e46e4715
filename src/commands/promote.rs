//! `promote`, from the arguments to the exit code. The recipe is [`crate::deploy::rollback`], with a preview as its
//! source.

use crate::cli::previews::PromoteArgs;
use crate::commands::connection::Connection;
use crate::commands::rollback::bring_back;
use crate::config;
use crate::deploy::rollback::{Choice, Promoted, Rollback};
use crate::error::Result;
use crate::exit::Exit;
use crate::terminal::Terminal;

/// `promote`.
pub async fn run(args: &PromoteArgs, terminal: &Terminal) -> Result<Exit> {
    let prepare = |connection: &Connection| {
        let site = connection.site(&args.site)?;
        // On the local edge, a source may replace the target.
        let source = args.site.target.as_deref().filter(|target| !target.starts_with("s3://"));
        let source = source.map(std::path::Path::new).or(args.site.source.as_deref());
        let previews = connection.previews(args.place.previews_target.as_deref(), source)?;
        let settings = config::previews::promote_settings(args, site, connection.expected_owner.as_deref())?;
        let name = args.preview.clone();
        let target = config::previews::target_of(&previews, &name)?;
        let choice = Choice::Preview(Promoted { name, target, deploy: args.deploy.clone() });
        let overwrite_foreign = args.options.overwrite_foreign;
        Ok((settings, Rollback { choice, overwrite_foreign, allow_incomplete: false }))
    };
    let target = args.site.target.as_deref();
    let (report, written) = bring_back((&args.site.connection, &args.options, target), terminal, prepare).await?;
    let written = written.and(report.print_address(terminal));
    terminal.ended(report.outcome.exit(), written)
}
