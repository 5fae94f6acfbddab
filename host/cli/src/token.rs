//! `mosel token`: who may do what on a server.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand, ValueEnum};
use mosel_server::{NewToken, Right, TokenPurpose, local_admin_token};

/// Make tokens for a server.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token and print it, once: the file of tokens keeps a hash
    New(NewArgs),
    /// Print the token that a server of this user on this machine made for itself
    Local {
        /// The server
        #[arg(long, value_name = "URL", env = "MOSEL_SERVER", default_value = "http://127.0.0.1:7070")]
        server: String,
    },
}

#[derive(Debug, Args)]
struct NewArgs {
    /// Whose jobs it is for; an admin's token needs none
    #[arg(long)]
    tenant: Option<String>,
    /// What it may do
    #[arg(long, value_name = "RIGHT", value_delimiter = ',', required = true)]
    rights: Vec<RightName>,
    /// What it is called in logs. Default: the tenant and a few digits
    #[arg(long)]
    name: Option<String>,
    /// The tenant's share of what is scarce, beside others' 1
    #[arg(long)]
    weight: Option<f64>,
    /// Submissions a second that it may send
    #[arg(long)]
    rate: Option<f64>,
    /// The file of tokens (auth.tokens_file) to add it to, which is made if it is not there. Without one the entry is printed
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RightName {
    /// Submit jobs, and cancel those of the tenant
    Submit,
    /// Look at the tenant's jobs, and at models, policies and metrics
    Read,
    /// Change policies and models, and everything for every tenant
    Admin,
}

/// `mosel token`.
pub(crate) fn run(args: TokenArgs) -> Result<()> {
    match args.what {
        What::New(args) => new(args),
        What::Local { server } => {
            let token = local_admin_token(&server);
            println!(
                "{}",
                token.with_context(|| format!("no server of this user made a token for {server} on this machine"))?
            );
            Ok(())
        }
    }
}

fn new(args: NewArgs) -> Result<()> {
    let NewArgs { tenant, rights, name, weight, rate, file } = args;
    let rights: Vec<Right> = rights.into_iter().map(Right::from).collect();
    ensure!(
        tenant.is_some() || rights.contains(&Right::Admin),
        "expected --tenant NAME: only a token with the right admin is for all tenants"
    );
    let new = NewToken::new(&TokenPurpose { name, tenant, rights, weight, rate })?;
    match file {
        Some(file) => {
            new.add_to(&file)?;
            eprintln!(
                "added to {}; a server that runs reads it at SIGHUP. The token, which is shown only now:",
                file.display()
            );
        }
        None => {
            eprintln!("For a file of tokens (auth.tokens_file):\n\n{}\nThe token, which is shown only now:", new.entry);
        }
    }
    println!("{}", new.token);
    Ok(())
}

impl From<RightName> for Right {
    fn from(name: RightName) -> Right {
        match name {
            RightName::Submit => Right::Submit,
            RightName::Read => Right::Read,
            RightName::Admin => Right::Admin,
        }
    }
}
