# Builds an image, copies it to a second region, and uploads the manifest for Image Steward.
#
#   packer init . && packer build -var git=$(git rev-parse --short HEAD) web.pkr.hcl
#
# Credentials: TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY for Packer, `coscli config` for coscli.

packer {
  required_plugins {
    tencentcloud = {
      source  = "github.com/hashicorp/tencentcloud"
      version = "~> 1"
    }
  }
}

variable "git" {
  type = string
}

variable "bucket" {
  type    = string
  default = "manifests-1250000000"
}

locals {
  stamp = formatdate("YYYYMMDDhhmmss", timestamp())
}

source "tencentcloud-cvm" "web" {
  region             = "ap-shanghai"
  zone               = "ap-shanghai-5"
  instance_type      = "SA5.MEDIUM2"
  source_image_id    = "img-487zeit5"
  ssh_username       = "ubuntu"
  image_name         = "packer-web-${local.stamp}" # until Image Steward renames it
  image_copy_regions = ["ap-beijing"]
}

build {
  sources = ["source.tencentcloud-cvm.web"]

  provisioner "shell" {
    inline = ["sudo apt-get update", "sudo apt-get install -y nginx"]
  }

  post-processors {
    post-processor "manifest" {
      output     = "packer-manifest.json"
      strip_path = true
      custom_data = {
        # what to set, by the API's parameter names
        ImageName        = "web-{build_time:%Y%m%d}-{custom_data.git}"
        ImageDescription = "nginx on {OsName|linux}, built from {custom_data.git}"
        ImageFamily      = "web"
        KeepLatest       = "2"
        "Tag.team"       = "infra"
        "Tag.run"        = "{packer_run_uuid}"
        # anything else is data for templates
        git = var.git
      }
    }

    post-processor "shell-local" {
      inline = [
        "coscli cp packer-manifest.json cos://${var.bucket}/requests/packer-web-${local.stamp}.json -e cos.ap-guangzhou.myqcloud.com"
      ]
    }
  }
}
